import os

import pytest

from pipeline import storage


def test_files_come_and_go(tmp_path):
    directory = storage.join(str(tmp_path), "a", "b")
    storage.make_directory(directory)
    storage.make_directory(directory)
    old, new = (storage.join(directory, name) for name in "xy")
    storage.write(old, b"one")
    storage.write(new, b"two")
    storage.rename(old, new)
    assert storage.read(new) == b"one"
    assert not storage.exists(old)
    assert storage.exists(new)
    storage.remove_tree(str(tmp_path / "a"))
    storage.remove_tree(str(tmp_path / "a"))
    assert os.listdir(tmp_path) == []


def test_nothing_is_compressed(tmp_path):
    path = str(tmp_path / "x.gz")
    storage.write(path, b"plain")
    assert (tmp_path / "x.gz").read_bytes() == b"plain"
    assert storage.read(path) == b"plain"


@pytest.mark.parametrize(
    ("path", "local"),
    [("a/b", True), ("/a", True), ("gs://a/b", False), ("s3://a", False)],
)
def test_what_is_local(path, local):
    assert storage.is_local(path) == local
