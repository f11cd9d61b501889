import json
import shutil

import pytest

from pipeline.gate import check
from pipeline.gate.judge import Request
from pipeline.results.layout import Layout
from tests.support import planted_damage


@pytest.fixture(scope="session")
def agreed(tmp_path_factory):
    """A working directory, and the reference that it agrees with."""
    root = tmp_path_factory.mktemp("agreed")
    layout = planted_damage.make(root / "work", root / "saved_model")
    reference = root / "reference.json"
    request = Request(reference, update=True)
    check.check(planted_damage.settings(), layout, request)
    return layout, reference


@pytest.fixture
def copied(agreed, tmp_path) -> Layout:
    layout, _ = agreed
    shutil.copytree(layout.root, tmp_path / "work")
    return Layout(tmp_path / "work")


@pytest.fixture
def shut(agreed, copied, tmp_path):
    """Runs the gate, which must shut; gives what it says."""

    def run(**options) -> dict:
        _, reference = agreed
        request = Request(reference, output=tmp_path / "out", **options)
        with pytest.raises(check.ReferenceMissed):
            check.check(planted_damage.settings(), copied, request)
        said = json.loads((tmp_path / "out" / "gate.json").read_text())
        said["failed"] = {
            each["metric"]: each["status"]
            for each in said["findings"]
            if each["status"] not in ("passed", "expected")
        }
        print(said["failed"], *said["where"], sep="\n")
        return said

    return run
