import hashlib
import json
import os

import pytest

from keras_dynamic.exits.decision.policy import Policy
from tests.support.bundle_directory import downgrade, edit, parts, refit
from tflite import bundle


def labels(file, bytes=5) -> dict:
    return {"file": file, "sha256": "0" * 64, "bytes": bytes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 3}, "`format_version` must be one of"),
        ({"format_version": "1"}, "format_version"),
        ({"format_version": True}, "format_version"),
        ({"extra": 1}, "must have the keys"),
        ({"name": None}, "manifest.name"),
        ({"labels": "labels.txt"}, "manifest.labels"),
        ({"labels": labels("../labels.txt")}, "plain file name"),
        ({"labels": labels("missing.txt")}, "missing.txt"),
        ({"labels": labels("labels.txt", bytes=2**24)}, "labels.bytes"),
        ({"input": {"shape": [16, 16, 3]}}, "`input` must have the keys"),
        ({"input": None}, "manifest.input"),
        ({"segments": []}, "must be the exits"),
        ({"segments": [None, None]}, r"`segments\[0\]` must have the keys"),
        ({"policy": {"kind": "max_probability"}}, "`policy`"),
        ({"provenance": []}, "provenance"),
    ],
)
def test_bad_manifests_are_refused(directory, changes, message):
    edit(directory, **changes)
    with pytest.raises(bundle.InvalidBundle, match=message):
        bundle.read(str(directory))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("file", "/etc/passwd", "plain file name"),
        ("file", "..", "plain file name"),
        ("file", "a/../exit_0.tflite", "plain file name"),
        ("file", "a\\b", "plain file name"),
        ("file", "", "plain file name"),
        ("file", 3, "plain file name"),
        ("sha256", "abc", "hexadecimal"),
        ("bytes", -1, "a count"),
        ("bytes", 1.5, "a count"),
        ("madds", True, "a count"),
        ("madds", 2**53, "a count"),
        ("bytes", 2**30, "a count"),
        ("inputs", ["image"] * 1025, "a list of names"),
        ("inputs", ["x" * 4097], "a list of names"),
        ("file", "x" * 300, "plain file name"),
        ("file", "exit_1.tflite", "must be another one"),
        ("file", "labels.txt", "must be another one"),
        ("file", "manifest.json", "must be another one"),
        ("inputs", "image", "a list of names"),
        ("inputs", ["image", 2], "a list of names"),
        ("inputs", ["image", "other"], "must name one tensor"),
        ("outputs", [], "names of its own"),
        ("outputs", ["a", "a"], "names of its own"),
        ("outputs", ["image"], "names of its own"),
        ("outputs", ["logits_0"], r"segments\[1\].inputs"),
        ("exit", 1, "in order"),
    ],
)
def test_bad_segments_are_refused(directory, key, value, message):
    path = directory / "manifest.json"
    segments = json.loads(path.read_text())["segments"]
    segments[0][key] = value
    edit(directory, segments=segments)
    with pytest.raises(bundle.InvalidBundle, match=message):
        bundle.read(str(directory))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shape", [16, 16]),
        ("shape", [16, 16, -3]),
        ("shape", [2**15, 2**15, 3]),
        ("dtype", "uint8"),
        ("scale", 0.1),
        ("scale", "1"),
        ("zero_point", 0),
        ("zero_point", -128.0),
        ("fit", 16),
    ],
)
def test_bad_inputs_are_refused(directory, key, value):
    facts = json.loads((directory / "manifest.json").read_text())["input"]
    edit(directory, input=facts | {key: value})
    with pytest.raises(bundle.InvalidBundle, match=f"`input.{key}` must be"):
        bundle.read(str(directory))


@pytest.mark.parametrize("key", ["format_version", "labels", "policy"])
def test_a_missing_key_is_named(directory, key):
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest[key]
    path.write_text(json.dumps(manifest))
    with pytest.raises(bundle.InvalidBundle, match=key):
        bundle.read(str(directory))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "[" * 100_000, "\xff", '{"a": NaN}']
)
def test_what_is_no_json_object_is_refused(directory, text):
    (directory / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(bundle.InvalidBundle):
        bundle.read(str(directory))


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("data", [b"", b"a\n\nb\n", b"\xff\n", b"a\nb"])
def test_bad_labels_are_refused(directory, version, data):
    (directory / "labels.txt").write_bytes(data)
    facts = labels("labels.txt", len(data))
    facts["sha256"] = hashlib.sha256(data).hexdigest()
    if version == 1:
        downgrade(directory)
    else:
        edit(directory, labels=facts)
    with pytest.raises(bundle.InvalidBundle, match="labels"):
        bundle.read(str(directory))


def test_exchanged_labels_are_found(directory):
    path = directory / "labels.txt"
    path.write_text("one\nzero\ntwo\nthree\nfour\n")
    with pytest.raises(bundle.InvalidBundle, match=r"labels\.txt.*SHA-256"):
        bundle.read(str(directory))


def test_a_manifest_of_version_1_is_read_and_written_again_as_2(
    directory, tmp_path
):
    downgrade(directory, stored_size=20)
    (directory / "labels.txt").write_text("0\n1\n2\n3\n4\n")
    old = bundle.read(str(directory))
    assert old.labels == ("0", "1", "2", "3", "4")
    assert old.labels_file == "labels.txt"
    assert old.input.fit == bundle.FitFacts(20)
    new = bundle.rewrite(
        old, str(tmp_path / "new"), policy=old.policy, operating_points={}
    )
    assert new.labels == old.labels
    assert new.labels_file.file == "labels.txt"
    assert new.input == old.input
    assert new.provenance == {"config": "test", "versions": {"keras": "3"}}
    assert [each.sha256 for each in new.segments] == [
        each.sha256 for each in old.segments
    ]
    downgrade(directory, labels=labels("labels.txt"))
    with pytest.raises(bundle.InvalidBundle, match=r"manifest\.labels"):
        bundle.read(str(directory))


STORED_SIZES = [60_000, 15, -1, 2**53, 16.0, True, None, "16", [16]]


@pytest.mark.parametrize("value", STORED_SIZES)
def test_a_stored_size_is_checked(directory, value):
    assert bundle.read(str(directory)).input.fit.stored_size == 16
    refit(directory, stored_size=20)
    assert bundle.read(str(directory)).input.fit.stored_size == 20
    refit(directory, stored_size=value)
    with pytest.raises(bundle.InvalidBundle, match=r"input\.fit\.stored_size"):
        bundle.read(str(directory))


@pytest.mark.parametrize("value", STORED_SIZES)
def test_a_stored_size_of_version_1_is_checked(directory, value):
    downgrade(directory)
    assert bundle.read(str(directory)).input.fit == bundle.FitFacts(16)
    downgrade(directory, stored_size=20)
    assert bundle.read(str(directory)).input.fit == bundle.FitFacts(20)
    downgrade(directory, stored_size=value)
    with pytest.raises(bundle.InvalidBundle, match=r"provenance\.stored_size"):
        bundle.read(str(directory))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": "random"}, r"`input\.fit\.crop` must be one of \['centre'\]"),
        ({"crop": ["centre"]}, r"`input\.fit\.crop`"),
        ({"resampling": "nearest"}, r"`input\.fit\.resampling` must be one of"),
        ({"resampling": None}, r"`input\.fit\.resampling`"),
        ({"size": 16}, r"`input\.fit` must have the keys"),
    ],
)
def test_what_is_no_fit_is_refused(directory, changes, message):
    refit(directory, **changes)
    with pytest.raises(bundle.InvalidBundle, match=message):
        bundle.read(str(directory))


def test_provenance_is_read_by_nobody(directory):
    before = bundle.read(str(directory))
    edit(directory, provenance={"stored_size": -1, "config": [], "model": {}})
    after = bundle.read(str(directory))
    assert after.input == before.input
    assert after.provenance["stored_size"] == -1


def test_a_manifest_cannot_name_an_input_without_end(directory):
    path = directory / "manifest.json"
    values = json.loads(path.read_text())
    values["segments"][1]["inputs"] *= 1_000_000
    path.write_text(json.dumps(values))
    with pytest.raises(bundle.InvalidBundle, match="at most 8388608 bytes"):
        bundle.read(str(directory))
    values["segments"][1]["inputs"] = ["cut_0"] * 500_000
    path.write_text(json.dumps(values))
    with pytest.raises(bundle.InvalidBundle, match="a list of names") as error:
        bundle.read(str(directory))
    assert len(str(error.value)) < 1000
    values["segments"][1]["inputs"] = ["cut_0"] * 2
    path.write_text(json.dumps(values))
    with pytest.raises(bundle.InvalidBundle, match="inputs"):
        bundle.read(str(directory))


def test_a_size_is_compared_before_anything_is_read(directory):
    opened = bundle.read(str(directory))
    os.truncate(directory / "exit_0.tflite", 3 * 2**30)  # Sparse.
    with pytest.raises(bundle.InvalidBundle, match=f"{3 * 2**30} bytes"):
        opened.model(0)
    os.truncate(directory / "labels.txt", 3 * 2**30)
    with pytest.raises(bundle.InvalidBundle, match=f"{3 * 2**30} bytes"):
        bundle.read(str(directory))


def test_the_segments_together_are_bounded(directory):
    values = json.loads((directory / "manifest.json").read_text())
    for each in values["segments"]:
        each["bytes"] = 2**29
    edit(directory, segments=values["segments"])
    with pytest.raises(bundle.InvalidBundle, match="`bytes`"):
        bundle.read(str(directory))


def test_links_do_not_lead_out_of_a_bundle(directory, tmp_path):
    outside = tmp_path / "outside"
    for name in ("manifest.json", "labels.txt", "exit_0.tflite"):
        file = directory / name
        (tmp_path / "link").unlink(missing_ok=True)
        file.rename(outside)
        file.symlink_to(outside)
        with pytest.raises(bundle.InvalidBundle, match="leads out"):
            bundle.read(str(directory)).model(0)
        file.unlink()
        outside.rename(directory / "inside")  # Here it may lead to.
        file.symlink_to("inside")
        (tmp_path / "link").symlink_to(directory)
        opened = bundle.read(str(tmp_path / "link"))
        assert opened.model(0) == parts()[0].model
        (directory / "inside").rename(outside)
        file.unlink()
        outside.rename(file)


def test_a_key_that_is_there_twice_is_refused(directory):
    path = directory / "manifest.json"
    text = path.read_text()
    path.write_text(text.replace("{", '{"name": "another",', 1))
    with pytest.raises(bundle.InvalidBundle, match="'name' twice"):
        bundle.read(str(directory))


def test_policy_must_have_as_many_exits(directory):
    other = Policy(temperatures=(1.0,), thresholds=(0.0,), enabled=(True,))
    edit(directory, policy=other.to_dict())
    with pytest.raises(bundle.InvalidBundle, match="in order"):
        bundle.read(str(directory))
