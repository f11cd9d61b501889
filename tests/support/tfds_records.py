"""Writes TFRecord files as TensorFlow does, and lists what a source finds."""

import pytest

tf = pytest.importorskip("tensorflow")

TFDS = {"image": "image", "label": "label"}


def example(**features):
    """Returns a tf.train.Example, serialised by TensorFlow."""
    lists = {}
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        if isinstance(values[0], int):
            kind = {"int64_list": tf.train.Int64List(value=values)}
        elif isinstance(values[0], float):
            kind = {"float_list": tf.train.FloatList(value=values)}
        else:
            kind = {"bytes_list": tf.train.BytesList(value=values)}
        lists[name] = tf.train.Feature(**kind)
    features = tf.train.Features(feature=lists)
    return tf.train.Example(features=features).SerializeToString()


def write(path, records, compression=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for data in records:
            writer.write(data)
    return str(path)


def images(count, start=0):
    return [
        example(image=b"image %d" % n, label=n % 3)
        for n in range(start, start + count)
    ]


def listed(source):
    return [item for p in source.find().pieces for item in source.items(p)]


def accepted(source):
    return {i.key: i for i in listed(source) if not i.reason}


def rejected(source):
    items = [item for item in listed(source) if item.reason]
    assert {(i.label, i.location, i.split) for i in items} <= {(-1, "", None)}
    return {item.key: item.reason for item in items}
