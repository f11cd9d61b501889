import subprocess
import sys

import pytest
import tensorflow as tf

from pipeline.storage import example


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
        "import sys; from pipeline.data import record; "
        "from pipeline.storage import example, tfrecord_file;"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def feature(**lists) -> tf.train.Example:
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                name: tf.train.Feature(**{name.partition("__")[0]: value})
                for name, value in lists.items()
            }
        )
    )


def test_a_large_example_is_read():
    message = feature(
        bytes_list=tf.train.BytesList(value=[bytes(3 << 20), b"x"]),
        float_list=tf.train.FloatList(value=[0.5] * (1 << 19)),
        int64_list=tf.train.Int64List(value=[-1, 2**62] * 1000),
    )
    found = example.features(message.SerializeToString())
    assert list(found["bytes_list"].bytes_list.value) == [bytes(3 << 20), b"x"]
    assert len(found["float_list"].float_list.value) == 1 << 19
    assert len(found["int64_list"].int64_list.value) == 2000


@pytest.mark.parametrize(
    "lists",
    [
        {"int64_list": tf.train.Int64List(value=[0] * (3 << 20))},
        {"bytes_list": tf.train.BytesList(value=[b""] * (1 << 20))},
        {f"int64_list__{n}": tf.train.Int64List() for n in range(100_000)},
    ],
    ids=["packed", "values", "features"],
)
def test_what_would_fill_the_memory_is_refused(lists):
    data = feature(**lists).SerializeToString()
    with pytest.raises(ValueError, match="more than"):
        example.features(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\xff\xff\xff\x7f" + bytes(2 << 20),
        b"\x0b" + bytes(2 << 20),
        b"\xff" * (2 << 20),
        b"\x0a\x85\x80\x80\x01" + bytes(2 << 20),
        bytes(2 << 20),
    ],
)
def test_large_bytes_that_are_no_example_are_refused(data):
    with pytest.raises(ValueError, match="Example"):
        example.features(data)


def test_any_cut_of_a_large_example_is_refused_or_read():
    data = feature(
        bytes_list=tf.train.BytesList(value=[bytes(2 << 20)]),
    ).SerializeToString()
    for cut in (1, 2, 100, 1 << 20):
        with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
            example.features(data[:-cut])
