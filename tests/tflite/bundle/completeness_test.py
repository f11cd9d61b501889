import os
import shutil

import pytest

from tests.support import small_bundle
from tflite import bundle
from tflite.bundle import archive, completeness
from tflite.diagnosis import inspection


@pytest.fixture
def directory(tmp_path):
    small_bundle.write(tmp_path / "bundle")
    return tmp_path / "bundle"


def differences(directory) -> list[str]:
    return completeness.differences(bundle.read(str(directory)))


def zip_again(directory, **changes) -> None:
    names = bundle.read(str(directory)).files
    found = {name: (directory / name).read_bytes() for name in names}
    found |= changes
    archive.write(
        str(directory / "bundle.zip"),
        {name: data for name, data in found.items() if data is not None},
    )


def test_what_was_written_is_the_same(directory):
    assert differences(directory) == []
    assert completeness.foreign(bundle.read(str(directory))) == ()
    zip_again(directory)
    assert differences(directory) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"labels.txt": b"b\na\nc\nd\n"}, "bundle.zip has another labels.txt"),
        ({"exit_1.tflite": b"x"}, "bundle.zip has another exit_1.tflite"),
        ({"exit_2.tflite": None}, "bundle.zip has no exit_2.tflite"),
        ({"manifest.json": b"{}"}, "bundle.zip has another manifest.json"),
        ({"more": b"x"}, "bundle.zip has 'more', which the manifest does not"),
    ],
)
def test_another_archive_is_told(directory, changes, line):
    zip_again(directory, **changes)
    [found] = differences(directory)
    assert found.startswith(line)


def test_a_larger_file_of_the_archive_is_not_read(directory):
    zip_again(directory, **{"exit_0.tflite": bytes(2**20)})
    assert differences(directory) == ["bundle.zip has another exit_0.tflite"]


def test_no_archive_and_no_sound_one_are_told(directory):
    path = directory / "bundle.zip"
    path.write_bytes(b"PK")
    [line] = differences(directory)
    assert "sound archive" in line
    path.unlink()
    [line] = differences(directory)
    assert "sound archive" in line


def test_a_damaged_directory_is_an_error(directory):
    opened = bundle.read(str(directory))
    (directory / "exit_1.tflite").write_bytes(b"x")
    with pytest.raises(bundle.InvalidBundle, match=r"exit_1\.tflite"):
        completeness.differences(opened)


def test_what_no_manifest_names_is_foreign(directory):
    (directory / "exit_9.tflite").write_bytes(b"x")
    (directory / "notes").mkdir()
    opened = bundle.read(str(directory))
    assert completeness.foreign(opened) == ("exit_9.tflite", "notes")
    assert inspection.report(opened)["not_in_manifest"] == [
        "exit_9.tflite",
        "notes",
    ]
    zip_again(directory, more=b"x")
    packed = bundle.read(str(directory / "bundle.zip"))
    assert completeness.foreign(packed) == ("more",)


def test_no_archive_is_looked_for_outside(directory, tmp_path):
    path = directory / "bundle.zip"
    shutil.move(path, tmp_path / "outside.zip")
    os.symlink(tmp_path / "outside.zip", path)
    opened = bundle.read(str(directory))
    with pytest.raises(bundle.InvalidBundle, match="leads out"):
        completeness.archive_bytes(opened)
    [line] = completeness.differences(opened)
    assert "leads out" in line
    path.unlink()
    assert completeness.archive_bytes(opened) is None
