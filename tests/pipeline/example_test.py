import subprocess
import sys

import pytest
import tensorflow as tf

from pipeline import example


def test_reads_what_tensorflow_wrote():
    given = {
        "bytes": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[b"a", b"\xff"])
        ),
        "floats": tf.train.Feature(
            float_list=tf.train.FloatList(value=[0.5, -2.0])
        ),
        "integers": tf.train.Feature(
            int64_list=tf.train.Int64List(value=[-1, 2**62])
        ),
        "nothing": tf.train.Feature(),
    }
    message = tf.train.Example(features=tf.train.Features(feature=given))
    found = example.features(message.SerializeToString())
    assert set(found) == set(given)
    assert list(found["bytes"].bytes_list.value) == [b"a", b"\xff"]
    assert list(found["floats"].float_list.value) == [0.5, -2.0]
    assert list(found["integers"].int64_list.value) == [-1, 2**62]
    assert not found["nothing"].bytes_list.value


def test_no_features():
    assert not example.features(b"")


@pytest.mark.parametrize("data", [b"\x0a\x05abc", b"\xff", b"text"])
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
        example.features(data)


def test_tensorflow_is_not_imported():
    code = (
        "import sys, pipeline.example, pipeline.record, pipeline.tfrecord;"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
