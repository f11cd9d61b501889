"""`keras-dynamic policy` and `keras-dynamic inspect`, without a process."""

import dataclasses
import json
import os
import pathlib
import types

import pytest

from keras_dynamic import exits
from pipeline.cli import inspect_verb, policy_verb, verbs
from pipeline.policies import refit
from pipeline.results import cost_table, own_files
from pipeline.storage import publishing
from tests.support import small_bundle
from tflite import bundle
from tflite.diagnosis import inspection


@pytest.fixture
def directory(tmp_path) -> pathlib.Path:
    small_bundle.write(tmp_path / "bundle")
    return tmp_path / "bundle"


def run(directory, **given) -> None:
    names = verbs.VERBS["policy"].flags
    flags = types.SimpleNamespace(**dict.fromkeys(names) | given)
    policy_verb.run(flags, [str(directory)])


def files(directory) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_the_default_policy_is_replaced(directory, capsys):
    before, fitted = files(directory), bundle.read(str(directory))
    run(directory, max_drop=2.0)
    after = bundle.read(str(directory))
    expected = refit.refit(fitted, max_drop=0.02)
    assert after.policy == expected.policy
    assert after.operating_points == {}
    changed = {
        name for name, data in files(directory).items() if data != before[name]
    }
    assert changed == {"manifest.json", "bundle.zip"}
    said = capsys.readouterr().out
    assert said.startswith("policy       default\n")
    assert f"accuracy     {expected.accuracy:.2%}, of the last exit" in said
    assert f"{expected.mean_madds / 1e6:.4g} M multiply-adds" in said
    for share in expected.exit_shares:
        assert f"{share:.1%}" in said


def test_operating_points_are_added_and_replaced(directory):
    own = bundle.read(str(directory)).policy
    run(directory, budget_madds=200.0, name="fast")
    run(directory, budget_madds=500.0, name="best")
    first = bundle.read(str(directory))
    assert first.policy == own
    assert list(first.operating_points) == ["best", "fast"]
    run(directory, budget_madds=150.0, name="fast")
    second = bundle.read(str(directory))
    assert second.operating_points["best"] == first.operating_points["best"]
    assert second.operating_points["fast"].fitted["budget"] == 150.0
    run(directory, max_drop=0.0)
    assert bundle.read(str(directory)).operating_points == (
        second.operating_points
    )


def test_operating_points_are_removed(directory, capsys):
    untouched = files(directory)
    run(directory, budget_madds=200.0, name="fast")
    with pytest.raises(ValueError, match=r": fast\. Received: slow"):
        run(directory, remove="slow")
    with pytest.raises(ValueError, match=r"needs one of .* and --remove"):
        run(directory, remove="fast", max_drop=1.0)
    run(directory, remove="fast")
    assert capsys.readouterr().out.endswith("point fast removed\n")
    assert files(directory) == untouched
    with pytest.raises(ValueError, match="there is none"):
        run(directory, remove="fast")


def test_milliseconds_that_are_given(directory, capsys):
    run(directory, budget_ms=1.5, exit_ms=["1.0", "1.5", "4"])
    found = bundle.read(str(directory)).policy
    assert found.fitted["unit"] == "ms"
    assert found.fitted["mean_cost"] <= 1.5
    assert "of 4 ms up to the last exit" in capsys.readouterr().out


def test_milliseconds_of_a_cost_table(directory, tmp_path, capsys):
    opened = bundle.read(str(directory))
    table = cost_table.of(opened, [0.9, 0.4, 2.4], decision_ms=0.1)
    cost_table.write(tmp_path / "costs.json", table)
    run(directory, budget_ms=1.5, costs=str(tmp_path / "costs.json"))
    found = bundle.read(str(directory)).policy
    expected = refit.refit(opened, budget=1.5, exit_ms=[1.0, 1.5, 3.9])
    assert found.thresholds == expected.policy.thresholds
    assert "of 3.9 ms up to the last exit" in capsys.readouterr().out


def test_milliseconds_that_are_measured(directory, capsys):
    run(directory, budget_ms=1e6)
    said = capsys.readouterr().out
    assert "mean time" in said
    assert "The budget pays for the last exit for every image." in said
    found = bundle.read(str(directory)).policy
    assert found.fitted["status"] == "last_exit_affordable"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs one of --max_drop.*Received: none"),
        ({"max_drop": 1.0, "budget_ms": 1.0}, "Received: max_drop, budget_ms"),
        ({"budget_madds": 99.0}, "`budget`"),
        ({"budget_ms": 1e-9}, "no policy costs less"),
        ({"budget_madds": 200.0, "exit_ms": ["1"]}, "--exit_ms is for"),
        ({"budget_madds": 200.0, "costs": "none"}, "--costs is for"),
        ({"max_drop": 1.0, "costs": "none"}, "none must be the JSON"),
        ({"max_drop": 1.0, "costs": "x", "exit_ms": ["1"]}, "give one"),
        ({"budget_ms": 2.0, "exit_ms": ["1", "x", "2"]}, "must be numbers"),
        ({"budget_ms": 2.0, "exit_ms": ["1", "2"]}, "one per exit, 3"),
        ({"max_drop": -1.0}, "`max_drop`"),
        ({"max_drop": 1.0, "name": "Fast"}, "`name`"),
        ({"max_drop": 1.0, "name": ""}, "`name`"),
    ],
)
def test_misuse_changes_nothing(directory, given, message):
    before = files(directory)
    with pytest.raises(ValueError, match=message):
        run(directory, **given)
    assert files(directory) == before
    assert [path.name for path in directory.parent.iterdir()] == ["bundle"]


def test_a_damaged_bundle_is_left_as_it_is(directory):
    path = directory / "exit_2.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    before = files(directory)
    with pytest.raises(bundle.InvalidBundle, match="SHA-256"):
        run(directory, max_drop=1.0)
    assert files(directory) == before


def test_other_files_in_the_directory_stay(directory):
    (directory / "NOTES").write_text("mine")
    (directory / "more").mkdir()
    (directory / "more" / "x").write_text("y")
    run(directory, max_drop=1.0)
    assert (directory / "NOTES").read_text() == "mine"
    assert (directory / "more" / "x").read_text() == "y"


def test_the_archive_alone_cannot_be_refitted(directory):
    with pytest.raises(ValueError, match="`directory`"):
        run(directory / "bundle.zip", max_drop=1.0)
    for verb in (policy_verb, inspect_verb):
        with pytest.raises(ValueError, match=r"takes one bundle.*: a b"):
            verb.run(types.SimpleNamespace(json=False), ["a", "b"])


def test_the_archive_has_the_new_policies(directory, tmp_path):
    import zipfile

    run(directory, budget_madds=200.0, name="fast")
    with zipfile.ZipFile(directory / "bundle.zip") as archive:
        archive.extractall(tmp_path / "shipped")
    shipped = bundle.read(str(tmp_path / "shipped"))
    assert list(shipped.operating_points) == ["fast"]
    assert not (tmp_path / "shipped" / "calibration.npy").exists()


def test_inspect_prints_all_in_100_columns(directory, capsys):
    run(directory, budget_madds=200.0, name="fast")
    capsys.readouterr()
    inspect_verb.run(types.SimpleNamespace(json=False), [str(directory)])
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 100
    opened = bundle.read(str(directory))
    for facts in opened.segments:
        assert facts.file in said
        assert f"{facts.bytes:,}" in said
    for word in (
        "ADD",
        "MEAN",
        "1x2x2x4",
        "0.003922",
        "-128",
        "calibration.npy",
    ):
        assert word in said
    assert (
        "operating point fast: kind max_probability, rule cost_budget" in said
    )
    assert "provenance: config tiny, keras 3" in said
    assert "600" in said  # Multiply-adds up to the last exit.


def test_inspect_as_json(directory, capsys):
    inspect_verb.run(types.SimpleNamespace(json=True), [str(directory)])
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(
        json.dumps(inspection.report(bundle.read(str(directory))))
    )


def test_long_names_and_many_segments_still_fit():
    long = "a" * 300
    tensor = {
        "name": f"{long}/x",
        "shape": [1, 112, 112, 1024],
        "dtype": "float32",
        "scale": 1.23456789e-10,
        "zero_point": -128,
    }
    segment = {
        "file": f"{long}.tflite",
        "exit": 10,
        "gate": f"{long}/x",
        "bypass": False,
        "place": "server",
        "madds": 10**10,
        "params": 10**8,
        "bytes": 10**8,
        "inputs": [tensor],
        "outputs": [],
        "operators": {long: 12345},
        "delegation": {"operators": 1234, "partitions": 12, "left": [long]},
    }
    own = exits.last_exit([1.0] * 40, fitted={long: long}).to_dict()
    text = inspect_verb.text(
        {
            "name": long,
            "labels": [long] * 1000,
            "input": {
                "shape": [1, 1, 1],
                "dtype": "int8",
                "scale": 1 / 255,
                "zero_point": -128,
                "fit": {
                    "stored_size": 10**4,
                    "resampling": long,
                    "crop": long,
                },
            },
            "segments": [segment] * 40,
            "exits": [],
            "archive_bytes": None,
            "not_in_manifest": [long] * 1000,
            "policy": own,
            "operating_points": {},
            "calibration": None,
            "provenance": {"versions": {long: long}},
        }
    )
    assert max(map(len, text.splitlines())) <= 100


def test_what_is_not_ours_stays_and_is_not_read(directory):
    (directory / "huge").touch()
    os.truncate(directory / "huge", 2**40)  # Sparse.
    os.mkfifo(directory / "pipe")
    (directory / "loop").symlink_to(".")
    (directory / "away").symlink_to("/dev/zero")
    (directory / "notes").mkdir()
    (directory / "notes" / "a").write_text("mine")
    run(directory, max_drop=2.0)
    assert (directory / "huge").stat().st_size == 2**40
    assert (directory / "pipe").is_fifo()
    assert os.readlink(directory / "loop") == "."
    assert os.readlink(directory / "away") == "/dev/zero"
    assert (directory / "notes" / "a").read_text() == "mine"


def test_what_is_promised_of_new_images_is_said(directory, capsys):
    run(directory, max_drop=2.0)
    inspect_verb.run(types.SimpleNamespace(json=False), [str(directory)])
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("promise nothing of new images") == 2
    opened = bundle.read(str(directory))
    promised = {**opened.policy.fitted, "promise": "with probability 0.9 all"}
    with publishing.published(directory, own_files.BUNDLE) as stage:
        policy = dataclasses.replace(opened.policy, fitted=promised)
        bundle.rewrite(opened, str(stage), policy=policy, operating_points={})
    inspect_verb.run(types.SimpleNamespace(json=False), [str(directory)])
    assert "promise with probability 0.9 all" in capsys.readouterr().out
