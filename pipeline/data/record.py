"""Encodes and decodes the records of a prepared data set.

A record is a tf.train.Example per image. Its features are:

    image/raw                     the pixels, uint8, row by row; or else
    image/encoded, image/format   a JPEG or PNG file, and "jpeg" or "png"
    image/height, image/width, image/channels   of the stored image
    image/label                   class index; the number of classes for one of
                                  the train split whose class is not known
    image/key                     name of the image, UTF-8

Records are written by hand, because it is faster than building messages, and
because equal images must give equal bytes: fields are in the order of their
names, as in `Example.SerializeToString(deterministic=True)`. They are read by
hand, in any order, because a message would copy the image.
"""

import dataclasses
import functools
import re

import numpy as np

from pipeline.data import image

Buffer = bytes | memoryview

# A field is a tag, a length and as many bytes. An Example has one, of features,
# and this one field per feature: a name and a feature (tag 0x12), which has a
# list of bytes or of integers, which has a value.
_BYTES_LIST, _INT64_LIST = b"\x0a", b"\x1a"
_LENGTH = rb"[\x80-\xff]*[\x00-\x7f]"
_HEADER = re.compile(rb"\x0a(%b)" % _LENGTH)
_ENTRY = re.compile(
    rb"\x0a%(length)b\x0a[\x00-\x7f]([\w/]+)"  # The name.
    rb"\x12%(length)b[\x0a\x12\x1a]%(length)b\x0a(%(length)b)"
    % {b"length": _LENGTH}
)


@dataclasses.dataclass(frozen=True)
class Record:
    """Holds one stored image.

    Attributes:
        key: Name of the image.
        label: Class index.
        height: Height of the stored image.
        width: Width of the stored image.
        channels: 1 or 3.
        raw: Its pixels, row by row, if it is stored as pixels.
        encoded: A whole JPEG or PNG file, if it is stored as a file.
        format: Format of `encoded`: "jpeg" or "png".
    """

    key: str
    label: int
    height: int
    width: int
    channels: int
    raw: Buffer | None = None
    encoded: Buffer | None = None
    format: str = ""

    def pixels(self) -> np.ndarray:
        """Returns the image, uint8 [height, width, channels].

        Raises:
            BadImage: The encoded file is damaged.
        """
        shape = (self.height, self.width, self.channels)
        if self.raw is not None:
            return np.frombuffer(self.raw, np.uint8).reshape(shape)
        return image.pixels(self.encoded).reshape(shape)


def encode(record: Record) -> bytes:
    """Returns the serialised tf.train.Example of one image."""
    key = record.key.encode()
    encoded, raw = (), ()
    if record.raw is None:
        kind = record.format.encode()
        encoded = (
            _opening("image/encoded", len(record.encoded)),
            record.encoded,
            _opening("image/format", len(kind)),
            kind,
        )
    else:
        raw = (_opening("image/raw", len(record.raw)), record.raw)
    parts = (
        _integer("image/channels", record.channels),
        *encoded,
        _integer("image/height", record.height),
        _opening("image/key", len(key)),
        key,
        _integer("image/label", record.label),
        *raw,
        _integer("image/width", record.width),
    )
    return b"".join((b"\x0a", _varint(sum(map(len, parts))), *parts))


def decode(data: Buffer) -> Record:
    """Returns the image of a serialised tf.train.Example.

    The stored image is a slice of `data`: of a memoryview, not a copy.

    Raises:
        ValueError: The bytes are no Example, or lack a feature.
    """
    found = spans(data)

    def integer(name: str) -> int:
        return number(bytes(data[found[name]]))

    try:
        key = str(data[found["image/key"]], "utf-8")
        label = integer("image/label")
        height, width = integer("image/height"), integer("image/width")
        channels = integer("image/channels")
        if "image/raw" in found:
            raw = data[found["image/raw"]]
            if len(raw) != height * width * channels:
                raise ValueError(
                    f"image/raw must have {height} x {width} x {channels} "
                    f"bytes. Received: {len(raw)}"
                )
            return Record(key, label, height, width, channels, raw)
        return Record(
            key,
            label,
            height,
            width,
            channels,
            encoded=data[found["image/encoded"]],
            format=str(data[found["image/format"]], "utf-8"),
        )
    except KeyError as error:
        raise ValueError(
            "A record must have the features of pipeline.data.record. "
            f"Received: {', '.join(sorted(found))}"
        ) from error


def spans(data: Buffer) -> dict[str, slice]:
    """Returns where the value of each feature lies in an Example.

    An integer is a varint there, to be read with `number`.

    Raises:
        ValueError: The bytes are no Example with one value per feature.
    """
    found = {}
    header = _HEADER.match(data)
    if header and header.end() + number(header[1]) == len(data):
        position = header.end()
        while match := _ENTRY.match(data, position):
            start = match.end()
            position = start + number(match[2])
            found[str(match[1], "ascii")] = slice(start, position)
        if position == len(data):
            return found
    raise ValueError("not a tf.train.Example with one value per feature")


@functools.lru_cache(4096)
def number(varint: bytes) -> int:
    """Returns the integer that a varint stands for.

    Raises:
        ValueError: The bytes are not one varint.
    """
    if [byte > 0x7F for byte in varint] != [True] * (len(varint) - 1) + [False]:
        raise ValueError("not a tf.train.Example with one value per feature")
    return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(varint))


@functools.cache
def _integer(name: str, value: int) -> bytes:
    """Returns the entry of an integer in the map of features."""
    varint = _varint(value)
    return _entry(name, _INT64_LIST, len(varint)) + varint


@functools.lru_cache(4096)
def _opening(name: str, size: int) -> bytes:
    """Returns the entry of a value of `size` bytes, without that value."""
    return _entry(name, _BYTES_LIST, size)


def _entry(name: str, kind: bytes, size: int) -> bytes:
    """Returns the bytes that stand before a value of `size` bytes."""
    before = b""
    for tag in (b"\x0a", kind, b"\x12"):  # Value, list, feature.
        before = tag + _varint(len(before) + size) + before
    before = b"\x0a" + _varint(len(name)) + name.encode() + before
    return b"\x0a" + _varint(len(before) + size) + before


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
