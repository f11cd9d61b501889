"""Tests of pipeline.storage.json_file."""

import pytest

from pipeline import stages
from pipeline.results import origin
from pipeline.results.layout import Layout
from pipeline.storage import json_file

DAMAGED = [b"", b"{", b"[]", b"[" * 100_000, b"\xff", b'{"a": 1, "a": 2}']


@pytest.mark.parametrize("content", DAMAGED)
def test_what_is_no_object_is_named_in_one_line(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json must be") as error:
        json_file.read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [*DAMAGED, b"{}"])
def test_a_damaged_mark_marks_nothing(tmp_path, content):
    layout = Layout(tmp_path)
    layout.stages.mkdir()
    (layout.stages / "report.json").write_bytes(content)
    layout.report.parent.mkdir()
    layout.report.touch()
    assert not stages._finished("report", "x", layout)
    if content != b"{}":
        with pytest.raises(ValueError, match=r"report\.json"):
            origin.read(layout.stages, ["report"])
