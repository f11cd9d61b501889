"""What preparation and scoring rely on in an object store."""

import os

import pytest
from apache_beam.io.filesystems import FileSystems
from google.api_core import exceptions

from tests.support import object_store


@pytest.fixture(name="root")
def _root():
    with object_store.bucket() as root:
        yield root


def write(path: str, data: bytes = b"data") -> None:
    with FileSystems.create(path) as file:
        file.write(data)


def read(path: str) -> bytes:
    with FileSystems.open(path) as file:
        return file.read()


def match(pattern: str) -> dict[str, int]:
    (result,) = FileSystems.match([pattern])
    return {
        file.path: file.size_in_bytes
        for file in sorted(result.metadata_list, key=lambda file: file.path)
    }


@pytest.mark.parametrize("size", [0, 1, 1000, 40_000_000])
def test_a_file_reads_as_it_was_written(root, size):
    # Beam's client moves 16 MiB at a time.
    data = os.urandom(size)

    write(f"{root}/a/data.bin", data)

    assert read(f"{root}/a/data.bin") == data
    assert match(f"{root}/**") == {f"{root}/a/data.bin": size}


def test_a_file_is_read_from_any_place(root):
    data = os.urandom(1000)
    write(f"{root}/data.bin", data)

    with FileSystems.open(f"{root}/data.bin") as file:
        file.seek(900)
        assert file.read(50) == data[900:950]


def test_a_file_appears_when_it_is_closed_and_not_before(root):
    file = FileSystems.create(f"{root}/data.bin")
    file.write(b"data")
    assert not FileSystems.exists(f"{root}/data.bin")

    file.close()

    assert FileSystems.exists(f"{root}/data.bin")


def test_writing_again_replaces(root):
    write(f"{root}/data.bin", b"old")
    write(f"{root}/data.bin", b"new")

    assert read(f"{root}/data.bin") == b"new"


def test_one_star_stays_in_a_directory_and_two_do_not(root):
    for name in ("a.png", "b.txt", "deep/c.png", "deep/er/d.png"):
        write(f"{root}/{name}")

    assert set(match(f"{root}/*.png")) == {f"{root}/a.png"}
    assert set(match(f"{root}/**.png")) == {
        f"{root}/a.png",
        f"{root}/deep/c.png",
        f"{root}/deep/er/d.png",
    }


def test_files_are_renamed_and_deleted_one_by_one(root):
    for name in ("a", "b", "c"):
        write(f"{root}/{name}", name.encode())

    FileSystems.rename([f"{root}/a", f"{root}/b"], [f"{root}/x", f"{root}/y"])
    FileSystems.delete([f"{root}/c"])

    assert set(match(f"{root}/**")) == {f"{root}/x", f"{root}/y"}
    assert read(f"{root}/x") == b"a"


def test_a_file_that_is_not_there_is_not_an_oserror(root):
    assert not FileSystems.exists(f"{root}/none")
    with pytest.raises(exceptions.NotFound):
        FileSystems.open(f"{root}/none")


def test_a_bucket_ends_with_its_block(root):
    write(f"{root}/data.bin")

    with object_store.bucket("other") as other:
        assert match(f"{other}/**") == {}
    assert match(f"{root}/**") == {f"{root}/data.bin": 4}
