"""The records that training reads: a tf.train.Example per image, in TFRecord.

Written by hand, because importing TensorFlow costs a Beam worker more time and
memory than its work. Equal images give equal bytes: fields are in the order of
their names, as in `Example.SerializeToString(deterministic=True)`.
"""

import functools
import struct

import google_crc32c
import numpy as np

if google_crc32c.implementation != "c":
    raise ImportError(
        "google-crc32c must have its compiled implementation, without it "
        "writing is 50 to 400 times slower: reinstall it from a wheel. "
        f"Received: implementation={google_crc32c.implementation!r}"
    )

_BYTES_LIST, _INT64_LIST = 1, 3  # Fields of tf.train.Feature.


def encode(image: np.ndarray, label: int, key: str) -> bytes:
    """Returns the serialised tf.train.Example of one image.

    Features: "image/raw" (the pixels, row by row), "image/height",
    "image/width", "image/channels", "image/label", "image/key".

    Args:
        image: uint8 [H, W, C].
        label: Class index.
        key: Name of the image.
    """
    height, width, channels = image.shape
    features = (
        _int64("image/channels", channels),
        _int64("image/height", height),
        _bytes("image/key", key.encode()),
        _int64("image/label", label),
        _bytes("image/raw", image.tobytes()),
        _int64("image/width", width),
    )
    return _field(1, b"".join(features))


def frame(data: bytes) -> bytes:
    """Returns one TFRecord: length, its CRC, data, its CRC; little-endian."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _masked_crc(length), data, _masked_crc(data)))


def _masked_crc(data: bytes) -> bytes:
    """Returns CRC-32C, rotated and shifted as TFRecord asks for."""
    crc = google_crc32c.value(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


@functools.cache
def _int64(name: str, value: int) -> bytes:
    return _feature(name, _field(_INT64_LIST, _field(1, _varint(value))))


def _bytes(name: str, value: bytes) -> bytes:
    return _feature(name, _field(_BYTES_LIST, _field(1, value)))


def _feature(name: str, feature: bytes) -> bytes:
    """Returns an entry of the map from names to features."""
    return _field(1, _field(1, name.encode()) + _field(2, feature))


def _field(number: int, data: bytes) -> bytes:
    """Returns a protocol buffer field of wire type 2, length-delimited."""
    return bytes((number << 3 | 2,)) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
