import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.data import record
from pipeline.data.record import Record

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
RAW = Record("ä/1.jpg", 3, 5, 7, 3, raw=PIXELS.tobytes())
ENCODED = Record("ä/1.jpg", 3, 5, 7, 3, encoded=b"\xff\xd8", format="jpeg")


def features(image):
    """The features of an image, as messages of TensorFlow."""

    def integer(value):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    def data(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    found = {
        "image/height": integer(image.height),
        "image/width": integer(image.width),
        "image/channels": integer(image.channels),
        "image/label": integer(image.label),
        "image/key": data(image.key.encode()),
    }
    if image.raw is not None:
        return found | {"image/raw": data(image.raw)}
    return found | {
        "image/encoded": data(image.encoded),
        "image/format": data(image.format.encode()),
    }


def serialised(features):
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


@st.composite
def records(draw):
    key, label = draw(st.text()), draw(st.integers(0, 2**63 - 1))
    if draw(st.booleans()):
        height, width = draw(st.integers(0, 3)), draw(st.integers(1, 300))
        raw = draw(st.binary(min_size=1, max_size=1)) * (height * width * 3)
        return Record(key, label, height, width, 3, raw=raw)
    height, width = draw(st.tuples(*[st.integers(0, 2**40)] * 2))
    encoded = draw(st.binary()) * draw(st.sampled_from([1, 200, 20_000]))
    kind = draw(st.sampled_from(["jpeg", "png"]))
    return Record(key, label, height, width, 1, encoded=encoded, format=kind)


@given(records())
def test_encodes_as_tensorflow_does(image):
    assert record.encode(image) == serialised(features(image))


@given(records())
def test_decodes_what_it_encodes(image):
    data = record.encode(image)
    assert record.decode(data) == image
    assert record.decode(memoryview(data)) == image


@given(st.permutations(sorted(features(RAW))))
def test_decodes_features_in_any_order(names):
    given = features(RAW)
    # The entries of a map may stand in any order.
    parts = [
        tf.train.Features(feature={n: given[n]}).SerializeToString()
        for n in names
    ]
    body = b"".join(parts)
    assert len(body) < 2**14
    data = b"\x0a" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) + body
    assert record.decode(data) == RAW


def test_a_memoryview_is_not_copied():
    data = bytearray(record.encode(RAW))
    found = record.decode(memoryview(data)).raw
    data[:] = bytes(len(data))
    assert bytes(found) == bytes(PIXELS.size)


@given(records())
def test_spans_hold_the_values(image):
    data = record.encode(image)
    found = record.spans(data)
    assert found.keys() == features(image).keys()
    assert data[found["image/key"]].decode() == image.key
    assert record.number(data[found["image/label"]]) == image.label


def test_pixels_of_raw_and_encoded_images():
    np.testing.assert_array_equal(RAW.pixels(), PIXELS)
    for pixels in (PIXELS, PIXELS[..., :1]):
        file = io.BytesIO()
        Image.fromarray(pixels.squeeze()).save(file, "png")
        image = Record(
            "", 0, *pixels.shape, encoded=file.getvalue(), format="png"
        )
        np.testing.assert_array_equal(image.pixels(), pixels)


@pytest.mark.parametrize("image", [RAW, ENCODED])
def test_truncated_records_are_refused(image):
    data = record.encode(image)
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
            record.decode(data[:length])
    with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
        record.decode(data + b"\x0a")


@given(st.binary(max_size=60).filter(lambda data: data != b"\x0a\x00"))
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
        record.decode(data)


@pytest.mark.parametrize(
    ("image", "names"),
    [(RAW, features(RAW)), (ENCODED, features(ENCODED))],
)
def test_features_that_are_missing(image, names):
    for name in names:
        rest = features(image)
        del rest[name]
        with pytest.raises(ValueError, match="must have the features"):
            record.decode(serialised(rest))


def test_more_than_one_value_is_refused():
    given = features(RAW)
    given["image/label"].int64_list.value.append(4)
    with pytest.raises(ValueError, match="one value per feature"):
        record.decode(serialised(given))


def test_raw_pixels_of_another_size():
    wrong = dataclasses.replace(RAW, width=8)
    with pytest.raises(ValueError, match=r"5 x 8 x 3 bytes\. Received: 105"):
        record.decode(record.encode(wrong))
