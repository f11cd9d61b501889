import hashlib
import json
import mmap
import os
import pathlib
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from keras_dynamic.exits.decision.policy import Policy, Scheduler
from tests.support import small_bundle
from tflite import bundle
from tflite.cutting import split
from tflite.runtime import harness, interpreter


def parts(count: int = 2) -> list[split.Segment]:
    """Segments of a plain chain; to the bundle a model is just bytes."""
    names = [("image",), *((f"cut_{k}",) for k in range(count))]
    return [
        split.Segment(
            model=bytes([k]) * (100 + k),
            wiring=bundle.Wiring(
                names[k], (f"logits_{k}", *names[k + 1]), exit=k
            ),
            output=f"logits_{k}",
            operators=1,
        )
        for k in range(count)
    ]


@pytest.fixture
def directory(tmp_path, write_bundle):
    write_bundle(tmp_path / "bundle", parts())
    return tmp_path / "bundle"


def edit(directory, **changes) -> None:
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refit(directory, **changes) -> None:
    facts = json.loads((directory / "manifest.json").read_text())["input"]
    edit(directory, input=facts | {"fit": facts["fit"] | changes})


def downgrade(directory, labels="labels.txt", **provenance) -> None:
    """Makes the manifest one of version 1."""
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["input"].pop("fit", None)
    manifest["provenance"].update(provenance)
    manifest.update(format_version=1, labels=labels)
    (directory / "manifest.json").write_text(json.dumps(manifest))


def test_read_gives_what_was_written(tmp_path, write_bundle):
    written = write_bundle(tmp_path, parts(3), labels=["läufer", "a b"])
    again = bundle.read(str(tmp_path))
    assert again == written
    assert again.labels == ("läufer", "a b")
    assert again.input == bundle.InputFacts((16, 16, 3), "int8", 1 / 255, -128)
    assert again.policy.thresholds == (0.3, 0.3, 0.0)
    assert again.provenance == {"config": "test", "versions": {"keras": "3"}}
    for k, segment in enumerate(parts(3)):
        assert again.model(k) == segment.model
        assert again.segments[k].wiring.inputs == segment.wiring.inputs
        assert again.segments[k].wiring.outputs == segment.wiring.outputs
        assert again.segments[k].madds == 1000


def test_manifest_has_the_documented_form(directory):
    manifest = json.loads((directory / "manifest.json").read_text())
    assert list(manifest) == [
        "format_version",
        "name",
        "labels",
        "input",
        "segments",
        "policy",
        "provenance",
    ]
    assert manifest["format_version"] == 2
    assert list(manifest["labels"]) == ["file", "sha256", "bytes"]
    assert manifest["input"] == {
        "shape": [16, 16, 3],
        "dtype": "int8",
        "scale": 0.00392156862745098,
        "zero_point": -128,
        "fit": {
            "stored_size": 16,
            "resampling": "bilinear_antialiased",
            "crop": "centre",
        },
    }
    assert list(manifest["segments"][0]) == [
        "file",
        "sha256",
        "bytes",
        "inputs",
        "outputs",
        "exit",
        "madds",
        "params",
    ]
    assert (
        directory / "labels.txt"
    ).read_text() == "zero\none\ntwo\nthree\nfour\n"


def test_bytes_are_deterministic(tmp_path, write_bundle):
    for name in ("a", "b"):
        write_bundle(tmp_path / name, parts())
    first, second = tmp_path / "a", tmp_path / "b"
    names = sorted(path.name for path in first.iterdir())
    assert names == [
        "bundle.zip",
        "exit_0.tflite",
        "exit_1.tflite",
        "labels.txt",
        "manifest.json",
    ]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_another_process_writes_the_same_bytes(tmp_path):
    points = {"fast": plain(0.2, 0.1, 0.0), "slow": plain(0.9, 0.8, 0.0)}
    small_bundle.write(tmp_path / "a", operating_points=points)
    code = (
        "import sys; from tests.support import small_bundle; "
        "from tests.tflite.bundle.directory_test import plain; "
        "points = {'slow': plain(0.9, 0.8, 0.0), "
        "'fast': plain(0.2, 0.1, 0.0)}; "
        "small_bundle.write(sys.argv[1], operating_points=points)"
    )
    root = pathlib.Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "b")],
        # Another order of sets, and another time zone.
        env=os.environ
        | {
            "PYTHONHASHSEED": "7",
            "TZ": "Asia/Tokyo",
            "PYTHONPATH": str(root),
        },
        check=True,
    )
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == 7
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in names:
        first, second = (tmp_path / each / name for each in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def places(data) -> dict[str, slice]:
    """Where the content of each file of a zip lies."""
    with zipfile.ZipFile(data) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
    found = {}
    for entry in entries:
        assert entry.compress_type == zipfile.ZIP_STORED
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        data.seek(entry.header_offset + 26)
        name, extra = struct.unpack("<HH", data.read(4))
        start = entry.header_offset + 30 + name + extra
        found[entry.filename] = slice(start, start + entry.file_size)
    return found


def test_archive_holds_the_same_stored_and_aligned(directory):
    path = directory / "bundle.zip"
    data = path.read_bytes()
    with open(path, "rb") as file:
        found = places(file)
    others = {each.name for each in directory.iterdir()} - {"bundle.zip"}
    assert set(found) == others
    for name, place in found.items():
        assert place.start % 16 == 0
        assert data[place] == (directory / name).read_bytes()


def test_a_mapped_archive_runs_from_slices(tmp_path):
    opened = small_bundle.write(tmp_path)
    image = np.arange(16, dtype=np.uint8).reshape(small_bundle.SHAPE) * 8
    with (
        open(tmp_path / "bundle.zip", "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        found = places(file)
        base = np.frombuffer(mapped, np.uint8)
        known = {"image": (image ^ 0x80).view(np.int8)[None]}
        logits = []
        for facts in opened.segments:
            place = found[facts.file]
            # Where the mapping has it, tensors are where kernels want them.
            assert base[place].ctypes.data % 16 == 0
            runner = interpreter.load(
                mapped[place.start : place.stop]
            ).get_signature_runner()
            known |= runner(
                **{name: known[name] for name in facts.wiring.inputs}
            )
            logits.append(known[facts.wiring.outputs[0]][0])
        del base
    with harness.Harness(str(tmp_path)) as runs:
        expected = runs.logits(image)
    np.testing.assert_array_equal(logits, expected)
    assert len({each.tobytes() for each in expected}) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": []}, "`labels` must"),
        ({"labels": ["a\nb", "c"]}, "`labels` must"),
        ({"labels": ["a", ""]}, "`labels` must"),
        ({"labels": ["a", 1]}, "`labels` must"),
        ({"madds": [1, -1]}, "a count"),
        ({"provenance": {"x": float("nan")}}, "JSON"),
        ({"input": bundle.InputFacts((16, 16, 3), scale=0.5)}, "input.scale"),
        ({"input": bundle.InputFacts((0, 16, 3))}, "input.shape"),
        ({"name": 5}, "manifest.name"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, write_bundle, changes, message):
    with pytest.raises(ValueError, match=message):
        write_bundle(tmp_path, parts(), **changes)


def test_write_needs_an_empty_directory(directory, write_bundle):
    with pytest.raises(ValueError, match="new or empty"):
        write_bundle(directory, parts())


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
        ("madds", 2**63, "a count"),
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


STORED_SIZES = [60_000, 15, -1, 2**80, 16.0, True, None, "16", [16]]


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


def plain(*thresholds):
    return Policy(
        temperatures=(1.0,) * len(thresholds),
        thresholds=thresholds,
        enabled=(True,) * len(thresholds),
    )


POINTS = {"fast": plain(0.2, 0.1, 0.0), "a-1_b": plain(0.9, 0.8, 0.0)}


def test_operating_points_are_kept_beside_the_policy(tmp_path, write_bundle):
    written = write_bundle(tmp_path, parts(3), operating_points=POINTS)
    again = bundle.read(str(tmp_path))
    assert again == written
    assert again.operating_points == POINTS
    assert again.policy == plain(0.3, 0.3, 0.0)
    values = json.loads((tmp_path / "manifest.json").read_text())
    assert list(values)[-1] == "operating_points"
    assert values["operating_points"]["fast"] == POINTS["fast"].to_dict()


def test_the_order_of_operating_points_changes_no_byte(tmp_path, write_bundle):
    turned = dict(reversed(POINTS.items()))
    for name, points in (("a", POINTS), ("b", turned)):
        write_bundle(tmp_path / name, parts(3), operating_points=points)
    first, second = (
        (tmp_path / name / "bundle.zip").read_bytes() for name in ("a", "b")
    )
    assert first == second


def test_without_operating_points_there_is_no_key(tmp_path, write_bundle):
    write_bundle(tmp_path, parts(3), operating_points={})
    assert "operating_points" not in (tmp_path / "manifest.json").read_text()
    assert bundle.read(str(tmp_path)).operating_points == {}


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "operating_points` must be an object"),
        ({"Fast": plain(0.5, 0.0).to_dict()}, "`name` must be of a-z"),
        ({"": plain(0.5, 0.0).to_dict()}, "`name` must be of a-z"),
        ({"../x": plain(0.5, 0.0).to_dict()}, "`name` must be of a-z"),
        ({"fast\n": plain(0.5, 0.0).to_dict()}, "`name` must be of a-z"),
        ({"fast": None}, "`operating_points.fast` is not valid"),
        ({"fast": {"kind": "margin"}}, "`operating_points.fast` is not valid"),
        (
            {"fast": plain(0.5, 0.5, 0.0).to_dict()},
            "`operating_points.fast` must have 2 exits.*Received: 3",
        ),
    ],
)
def test_bad_operating_points_are_refused(directory, points, message):
    edit(directory, operating_points=points)
    with pytest.raises(bundle.InvalidBundle, match=message):
        bundle.read(str(directory))


def learned(classes):
    weights = [[1 / 3] * (classes + 2 + k) for k in range(3)]
    return Policy(
        kind="scheduler",
        temperatures=(1.0,) * 3,
        thresholds=(0.7, 0.6, 0.0),
        enabled=(True,) * 3,
        scheduler=Scheduler(weights, [0.1, 0.2, 0.3]),
        fitted={"rule": "upper_bound", "epsilon": 0.01, "bound": 0.008},
    )


def test_a_learned_policy_and_where_it_comes_from_are_kept(
    tmp_path, write_bundle
):
    write_bundle(tmp_path, parts(3), policy=learned(5))
    assert bundle.read(str(tmp_path)).policy == learned(5)


def test_a_scheduler_must_be_of_as_many_classes(tmp_path, write_bundle):
    with pytest.raises(bundle.InvalidBundle, match=r"of 5 classes.*: 4"):
        write_bundle(tmp_path, parts(3), policy=learned(4))


def test_so_must_that_of_an_operating_point(tmp_path, write_bundle):
    with pytest.raises(bundle.InvalidBundle, match=r"`operating_points.f.sch"):
        write_bundle(tmp_path, parts(3), operating_points={"f": learned(4)})


def test_damaged_models_are_found(directory):
    sound = bundle.read(str(directory))
    path = directory / "exit_1.tflite"
    original = path.read_bytes()
    for data in (original[:-1] + b"x", original[:50], original + b"x"):
        path.write_bytes(data)
        with pytest.raises(bundle.InvalidBundle, match="SHA-256"):
            sound.model(1)
    path.unlink()
    with pytest.raises(bundle.InvalidBundle, match=r"exit_1\.tflite"):
        sound.model(1)


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(bundle.InvalidBundle, match=r"manifest\.json"):
        bundle.read(str(tmp_path / "nowhere"))


def test_models_must_be_those_of_the_facts(tmp_path, write_bundle):
    cut = parts()
    models = [each.model for each in cut]
    with pytest.raises(ValueError, match="`models`"):
        write_bundle(tmp_path / "bundle", cut, models=models[::-1])
