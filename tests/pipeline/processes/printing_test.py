import ast
import json
import pathlib
import types

import pytest
from PIL import Image

from pipeline.cli import classify_verb, inspect_verb
from pipeline.processes import printing
from tests.support import tiny_bundle
from tflite import bundle
from tflite.bundle import class_names

ROOT = pathlib.Path(__file__).parents[3]
HOSTILE = "\x1b[2J\x1b]0;title\x07 \x9b31m \r\x7f\u202e\ud800\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("läufer 犬 🐕", "läufer 犬 🐕"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\rb\tc\nd", r"a\rb\tc\nd"),
        ("\x7f\x80\x9b\u2028\u202e", r"\x7f\x80\x9b\u2028\u202e"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text, expected):
    assert printing.visible(text) == expected


def test_lines_stay_lines(capsys):
    printing.show("a\x1b\nb")
    assert capsys.readouterr().out == "a\\x1b\nb\n"
    assert printing.visible_values({"\x1b": ["\n", 1, None]}) == {
        r"\x1b": [r"\n", 1, None]
    }


def test_json_stays_json(capsys):
    printing.show_json({"a": HOSTILE})
    said = capsys.readouterr().out
    assert said[:-1].isprintable()
    assert json.loads(said) == {"a": HOSTILE}


def test_all_that_is_printed_goes_through_here():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "pipeline").rglob("*.py"))
        if path.name != "printing.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name) and node.id == "print")
        or (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr in ("stdout", "stderr")
            and node.attr == "write"
        )
    ]
    assert found == []


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A bundle that says such things wherever it may."""
    # Versions before this one wrote any label.
    monkeypatch.setattr(class_names, "check", lambda _: None)
    opened = tiny_bundle.write(tmp_path / "plain")
    escape = HOSTILE.replace("\n", "").replace("\r", "").replace("\ud800", "")
    bundle.write(
        str(tmp_path / "bundle"),
        name=HOSTILE,
        segments=opened.segments,
        models=[opened.model(place) for place in range(3)],
        labels=[f"{each}{escape}" for each in opened.labels],
        input=opened.input,
        policy=opened.policy,
        provenance={HOSTILE: HOSTILE, "nested": {HOSTILE: [HOSTILE]}},
    )
    (tmp_path / "bundle" / "\x1b[2J").write_text("foreign")
    return str(tmp_path / "bundle")


def test_a_hostile_bundle_says_nothing_to_the_terminal(
    hostile, tmp_path, capsys
):
    photo = str(tmp_path / "\x1b[31mphoto.png")
    Image.fromarray(tiny_bundle.images(1)[0]).save(photo)
    facts = {"bundle": hostile, "threads": 1, "xnnpack": True}
    facts |= {"delegate": None, "delegate_option": [], "point": None}
    facts |= {"memory_mapped": False, "strict": True, "budget_ms": None}
    for as_json in (False, True):
        flags = types.SimpleNamespace(json=as_json, **facts)
        inspect_verb.run(flags, [hostile])
        classify_verb.run(flags, [photo])
    for line in capsys.readouterr().out.splitlines():
        assert line.isprintable()


def test_what_is_free_form_is_cut_short(tmp_path, capsys):
    opened = tiny_bundle.write(tmp_path / "plain")
    bundle.write(
        str(tmp_path / "bundle"),
        name="x " * 2000,
        segments=opened.segments,
        models=[opened.model(place) for place in range(3)],
        labels=opened.labels,
        input=opened.input,
        policy=opened.policy,
        provenance={f"{i}": "y" * 10_000 for i in range(300)},
    )
    flags = types.SimpleNamespace(json=False)
    inspect_verb.run(flags, [str(tmp_path / "bundle")])
    said = capsys.readouterr().out
    assert len(said) < 30_000
    assert max(map(len, said.splitlines())) <= 100
