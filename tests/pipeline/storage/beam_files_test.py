import os

import pytest

from pipeline.storage import beam_files


def test_files_come_and_go(tmp_path):
    directory = beam_files.join(str(tmp_path), "a", "b")
    beam_files.make_directory(directory)
    beam_files.make_directory(directory)
    old, new = (beam_files.join(directory, name) for name in "xy")
    beam_files.write(old, b"one")
    beam_files.write(new, b"two")
    beam_files.rename(old, new)
    assert beam_files.read(new) == b"one"
    assert not beam_files.exists(old)
    assert beam_files.exists(new)
    beam_files.remove_tree(str(tmp_path / "a"))
    beam_files.remove_tree(str(tmp_path / "a"))
    assert os.listdir(tmp_path) == []


def test_nothing_is_compressed(tmp_path):
    path = str(tmp_path / "x.gz")
    beam_files.write(path, b"plain")
    assert (tmp_path / "x.gz").read_bytes() == b"plain"
    assert beam_files.read(path) == b"plain"


@pytest.mark.parametrize(
    ("path", "local"),
    [("a/b", True), ("/a", True), ("gs://a/b", False), ("s3://a", False)],
)
def test_what_is_local(path, local):
    assert beam_files.is_local(path) == local
