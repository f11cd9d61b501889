import os
import struct

import pytest

from pipeline.data import foreign_records
from pipeline.storage import beam_files, tfrecord_file

WHOLE = tfrecord_file.frame(b"one") + tfrecord_file.frame(b"two")


def header(size: int) -> bytes:
    length = struct.pack("<Q", size)
    return length + tfrecord_file._masked_crc(length)


def test_finds_records_between_two_offsets(tmp_path):
    (tmp_path / "a").write_bytes(WHOLE)
    path, middle = str(tmp_path / "a"), len(WHOLE) // 2
    first, second = (0, b"one", ""), (middle, b"two", "")
    assert list(foreign_records.find(path)) == [first, second]
    assert list(foreign_records.find(path, middle)) == [second]
    assert list(foreign_records.find(path, 0, middle)) == [first]


@pytest.mark.parametrize("size", [1, 1 << 20, 1 << 40, 1 << 62, (1 << 64) - 1])
def test_a_length_beyond_the_file_is_one_fault(tmp_path, size):
    (tmp_path / "a").write_bytes(WHOLE + header(size))
    *sound, last = foreign_records.find(str(tmp_path / "a"))
    assert [each.data for each in sound] == [b"one", b"two"]
    assert last.offset == len(WHOLE)
    assert last.reason.startswith("truncated record; nothing after it")


def test_a_record_that_is_too_large_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_records, "MAX_RECORD", 2)
    large = tfrecord_file.frame(b"large")
    (tmp_path / "a").write_bytes(large + tfrecord_file.frame(b"ok") + large)
    found = list(foreign_records.find(str(tmp_path / "a")))
    assert [each.data for each in found] == [b"", b"ok", b""]
    assert [bool(each.reason) for each in found] == [True, False, True]


def test_what_cannot_be_opened_is_one_fault(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("nowhere", tmp_path / "dangling")
    for name in ("pipe", "dangling", "gone", "."):
        (found,) = foreign_records.find(str(tmp_path / name))
        assert found[:2] == (0, b"")
        assert found.reason.startswith("cannot be read: ")


def test_a_disk_that_fails_in_the_middle(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(WHOLE)

    class Failing:
        def __init__(self, file):
            self.file = file
            self.left = 3  # Reads: those of one record.

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def seek(self, *place):
            return self.file.seek(*place)

        def read(self, size):
            if not self.left:
                raise OSError(5, "Input/output error")
            self.left -= 1
            return self.file.read(size)

    opened = beam_files.open
    monkeypatch.setattr(beam_files, "open", lambda path: Failing(opened(path)))
    first, second = foreign_records.find(str(tmp_path / "a"))
    assert first.data == b"one"
    assert second.offset == len(WHOLE) // 2
    assert second.reason.startswith("cannot be read: Input/output error")


def test_what_trying_again_may_mend_passes(tmp_path, monkeypatch):
    def busy(path):
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(beam_files, "open", busy)
    with pytest.raises(ConnectionResetError):
        list(foreign_records.find(str(tmp_path / "a")))
