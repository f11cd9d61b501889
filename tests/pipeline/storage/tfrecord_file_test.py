import importlib
import io

import google_crc32c
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from pipeline.storage import tfrecord_file

DATA = (b"", b"x", bytes(range(256)) * 9, b"y" * 100_000)
FILE = b"".join(tfrecord_file.frame(data) for data in DATA)


def test_tensorflow_reads_the_file(tmp_path):
    path = tmp_path / "x.tfrecord"
    path.write_bytes(FILE)
    read = [r.numpy() for r in tf.data.TFRecordDataset(str(path))]
    assert read == list(DATA)


def test_tensorflow_writes_the_same_file(tmp_path):
    path = tmp_path / "x.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for data in DATA:
            writer.write(data)
    assert path.read_bytes() == FILE


@given(st.lists(st.binary()))
def test_scan_finds_every_record(records):
    file = io.BytesIO(b"".join(map(tfrecord_file.frame, records)))
    found = list(tfrecord_file.scan(file))
    assert [data for _, data in found] == records
    for offset, data in found:
        assert tfrecord_file.read_at(file, offset, 1 << 20) == data


def test_scan_begins_where_the_file_is():
    file = io.BytesIO(FILE)
    offsets = [offset for offset, _ in tfrecord_file.scan(file)]
    assert offsets[0] == 0
    file.seek(offsets[2])
    assert list(tfrecord_file.scan(file)) == list(
        zip(offsets[2:], DATA[2:], strict=True)
    )


def test_every_changed_or_missing_byte_is_found():
    whole = tfrecord_file.frame(b"some data")
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1
        for damaged in (bytes(changed), whole[:position] or b"x"):
            with pytest.raises(tfrecord_file.Damaged):
                list(tfrecord_file.scan(io.BytesIO(damaged)))
            with pytest.raises(tfrecord_file.Damaged):
                tfrecord_file.read_at(io.BytesIO(damaged), 0, 100)


def test_no_record_beyond_the_end():
    with pytest.raises(tfrecord_file.Damaged, match="truncated"):
        tfrecord_file.read_at(io.BytesIO(FILE), len(FILE), 100)


def test_a_slow_checksum_is_refused(monkeypatch):
    monkeypatch.setattr(google_crc32c, "implementation", "python")
    with pytest.raises(ImportError, match="google-crc32c"):
        importlib.reload(tfrecord_file)


def test_a_length_is_no_promise_of_memory():
    file = io.BytesIO(tfrecord_file.frame(b"some data"))
    assert tfrecord_file.read_at(file, 0, 9) == b"some data"
    with pytest.raises(tfrecord_file.Damaged):
        tfrecord_file.read_at(file, 0, 8)
