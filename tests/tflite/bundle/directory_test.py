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

from tests.support import small_bundle
from tests.support.bundle_directory import parts, plain
from tflite import bundle
from tflite.runtime import harness, interpreter


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
        "from tests.support.bundle_directory import plain; "
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
