import importlib

import google_crc32c
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from pipeline import record

IMAGE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def reference(image, label, key):
    def integer(value):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    def data(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    feature = {
        "image/raw": data(image.tobytes()),
        "image/height": integer(image.shape[0]),
        "image/width": integer(image.shape[1]),
        "image/channels": integer(image.shape[2]),
        "image/label": integer(label),
        "image/key": data(key.encode()),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


@given(st.integers(0, 2**63 - 1), st.text(), st.integers(1, 300))
def test_encodes_as_tensorflow_does(label, key, width):
    image = np.zeros((2, width, 3), np.uint8)
    encoded = record.encode(image, label, key)
    assert encoded == reference(image, label, key)


def test_slices_are_encoded_in_their_own_order():
    image = IMAGE[::-1, :, ::-1]
    assert record.encode(image, 1, "a") == reference(image, 1, "a")


def test_tensorflow_reads_the_records(tmp_path):
    path = tmp_path / "x.tfrecord"
    examples = [b"", b"x", record.encode(IMAGE, 3, "ä/1.jpg"), b"y" * 100_000]
    path.write_bytes(b"".join(record.frame(data) for data in examples))
    read = [r.numpy() for r in tf.data.TFRecordDataset(str(path))]
    assert read == examples


def test_tensorflow_writes_the_same_file(tmp_path):
    path = tmp_path / "x.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"something")
    assert path.read_bytes() == record.frame(b"something")


def test_a_slow_checksum_is_refused(monkeypatch):
    monkeypatch.setattr(google_crc32c, "implementation", "python")
    with pytest.raises(ImportError, match="google-crc32c"):
        importlib.reload(record)
