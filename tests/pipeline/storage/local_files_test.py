import errno
import os
import socket

import pytest

from pipeline.storage import beam_files
from tflite.format import files


def test_reads_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "empty").write_bytes(b"")
    os.symlink("a", tmp_path / "link")
    for name, content in (("a", b"123"), ("link", b"123"), ("empty", b"")):
        assert files.read(tmp_path / name, 3) == content
        with files.open_regular(tmp_path / name) as file:
            assert file.read() == content
        assert beam_files.read(str(tmp_path / name)) == content


def test_a_file_that_is_given_in_parts_is_read_whole(tmp_path, monkeypatch):
    read = os.read
    monkeypatch.setattr(os, "read", lambda file, size: read(file, min(size, 2)))
    (tmp_path / "a").write_bytes(b"12345")
    assert files.read(tmp_path / "a", 5) == b"12345"


def test_a_large_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(3 << 30)
    monkeypatch.setattr(os, "read", None)
    with pytest.raises(OSError, match="larger than 64 MiB") as error:
        files.read(tmp_path / "sparse", 64 << 20)
    assert error.value.errno == errno.EFBIG


def test_nothing_but_files_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("nowhere", tmp_path / "dangling")
    os.symlink("loop", tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        for path, number in (
            (tmp_path, errno.EISDIR),
            (tmp_path / "pipe", errno.EINVAL),
            ("/dev/zero", errno.EINVAL),
            (tmp_path / "socket", errno.ENXIO),
            (tmp_path / "dangling", errno.ENOENT),
            (tmp_path / "loop", errno.ELOOP),
        ):
            for use in (
                lambda path: files.read(path, 9),
                files.open_regular,
                lambda path: beam_files.open(str(path)),
            ):
                with pytest.raises(OSError, match="Errno") as error:
                    use(path)
                assert error.value.errno == number
                assert beam_files.fault(error.value)


def test_no_descriptor_is_left_open(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    before = os.listdir("/proc/self/fd")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(OSError, match="Errno"):
            files.open_regular(path)
    assert os.listdir("/proc/self/fd") == before
