"""`keras-dynamic check` with a reference: flags and exit codes."""

import pathlib
import types

import pytest

from pipeline.cli import main, stage_verb
from pipeline.gate import check, judge
from pipeline.gate.judge import Request


def flags(**values):
    given = {"reference": None, "update": False, "output": None}
    return types.SimpleNamespace(**given | {"reference_model": None} | values)


def test_what_was_asked_for():
    assert stage_verb._request(flags()) is None
    found = stage_verb._request(
        flags(reference="a.json", update=True, output="out")
    )
    assert found == Request(pathlib.Path("a.json"), True, pathlib.Path("out"))


@pytest.mark.parametrize(
    "values", [{"update": True}, {"reference_model": "model.tflite"}]
)
def test_what_needs_a_reference(values):
    with pytest.raises(ValueError, match="needs --reference"):
        stage_verb._request(flags(**values))


@pytest.mark.parametrize("name", ["junit.xml", "gate.md"])
def test_reports_of_others_are_not_replaced(tmp_path, name):
    request = Request(tmp_path / "new.json", update=True, output=tmp_path)
    assert judge.previous(request, "any") is None
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"`output` must.*{name}"):
        judge.previous(request, "any")
    (tmp_path / "gate.json").write_text("the check's")
    assert judge.previous(request, "any") is None


def test_a_file_is_no_place_for_reports(tmp_path):
    (tmp_path / "gate").touch()
    request = Request(tmp_path / "new.json", True, tmp_path / "gate")
    with pytest.raises(ValueError, match="`output`"):
        judge.previous(request, "any")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("no such file"), 1),
        (check.CheckFailed("exit 0 lost 3 points"), 1),
        (check.ReferenceMissed("check failed: 1 of 20 metrics"), 3),
    ],
)
def test_exit_codes(error, code, capsys):
    with pytest.raises(SystemExit) as caught:
        main._fail(error)
    assert caught.value.code == code
    assert str(error) in capsys.readouterr().err
