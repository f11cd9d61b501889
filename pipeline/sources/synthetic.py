"""Generates images, as many and as large as a load test needs.

An image is a function of its number and the seed: a coarse pattern that tells
its class, plus noise. The noise is the sum of windows into two blocks of noise,
at offsets that no two images share, so that an image of 32x32 takes a few
microseconds and no two are equal unless `duplicates` asks for it.
"""

import dataclasses
import functools
import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from pipeline.sources.item import Found, Item
from pipeline.storage import fingerprint

ENCODINGS = ("raw", "jpeg", "png")

_PIECE = 50_000
_OFFSET_BITS = 20  # Offsets into a block of noise.
_STRIDE = 0x5DEECE66D1  # Odd, so that different numbers get other offsets.
_PATTERN = 4  # Rows and columns of a class's pattern.


@dataclasses.dataclass(frozen=True)
class Synthetic:
    """Generates a data set; a key is the number of an image.

    Attributes:
        images: Number of images.
        size: Height and width.
        channels: 1 or 3.
        classes: Number of classes; image n is of class n modulo this.
        encoding: "raw" gives pixels, "jpeg" and "png" give files.
        seed: Another seed gives other images.
        duplicates: Share of the images that repeat one with a lower number,
            with its label.
        damaged: Share of the images that are damaged files: empty, no image,
            cut in half, or with a header of 60,000 x 60,000 pixels.
    """

    images: int = 1_000_000
    size: int = 32
    channels: int = 3
    classes: int = 10
    encoding: str = "raw"
    seed: int = 0
    duplicates: float = 0.0
    damaged: float = 0.0

    def __post_init__(self) -> None:
        rules = {
            "images": (
                "be from 1 to 10**9, and at least as many as `classes`",
                max(1, self.classes) <= self.images <= 10**9,
            ),
            "size": (
                f"be from {_PATTERN} to 8192",
                _PATTERN <= self.size <= 8192,
            ),
            "channels": ("be 1 (grey) or 3 (RGB)", self.channels in (1, 3)),
            "classes": ("be at least 2", self.classes >= 2),
            "encoding": (
                f"be one of {', '.join(ENCODINGS)}",
                self.encoding in ENCODINGS,
            ),
            "seed": ("be at least 0", self.seed >= 0),
            "duplicates": ("be a share in [0, 1)", 0 <= self.duplicates < 1),
            "damaged": ("be a share in [0, 1)", 0 <= self.damaged < 1),
        }
        for name, (rule, holds) in rules.items():
            if not holds:
                raise ValueError(
                    f"`{name}` must {rule}. "
                    f"Received: {name}={getattr(self, name)!r}"
                )

    def find(self) -> Found:
        """Returns the classes; a piece is a range of numbers."""
        return Found(
            labels=tuple(str(label) for label in range(self.classes)),
            pieces=tuple(
                f"{start}:{min(start + _PIECE, self.images)}"
                for start in range(0, self.images, _PIECE)
            ),
            images=self.images,
        )

    def paths(self) -> tuple[str, ...]:
        """Returns no path: the images are computed."""
        return ()

    def items(self, piece: str) -> Iterator[Item]:
        """Yields all images of a range, damaged or not."""
        for number in range(*map(int, piece.split(":"))):
            label = self._original(number) % self.classes
            key = f"{number:09d}"
            yield Item(key, label, key)

    def load(self, location: str) -> np.ndarray | bytes:
        """Returns an image: pixels, uint8 [size, size, channels], or a file."""
        number = int(location)
        if self._chosen(number, self.damaged, "damaged"):
            return self._damage(number)
        pixels = self._pixels(self._original(number))
        if self.encoding == "raw":
            return pixels
        return _encoded(pixels, self.encoding)

    def state(self) -> str:
        """Returns a hash of the options."""
        return fingerprint.of(dataclasses.asdict(self))

    def _pixels(self, number: int) -> np.ndarray:
        values = self.size * self.size * self.channels
        loud, soft = _noise(self.seed, values)
        shuffled = (number * _STRIDE + self.seed) % (1 << 2 * _OFFSET_BITS)
        first = shuffled >> _OFFSET_BITS
        second = shuffled % (1 << _OFFSET_BITS)
        pixels = loud[first : first + values] + soft[second : second + values]
        pixels += _pattern(
            number % self.classes, self.seed, self.size, self.channels
        )
        return pixels.reshape(self.size, self.size, self.channels)

    def _original(self, number: int) -> int:
        """Returns the number of the image that an image repeats, or its own."""
        while number and self._chosen(number, self.duplicates, "duplicates"):
            number = _mixed(self.seed, number, "original") % number
        return number

    def _damage(self, number: int) -> bytes:
        kind = _mixed(self.seed, number, "kind") % 4
        if kind == 0:
            return b""
        if kind == 1:
            return f"This is no image but number {number}.\n".encode()
        if kind == 2:
            encoding = "jpeg" if self.encoding == "jpeg" else "png"
            data = _encoded(self._pixels(number), encoding)
            return data[: len(data) // 2]
        data = bytearray(_encoded(self._pixels(number), "png"))
        data[16:24] = struct.pack(">II", 60_000, 60_000)  # In IHDR, whose
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))  # CRC follows.
        return bytes(data)

    def _chosen(self, number: int, share: float, purpose: str) -> bool:
        return share > 0 and share > _mixed(self.seed, number, purpose) / 2**64


def _encoded(pixels: np.ndarray, encoding: str) -> bytes:
    if pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    options = {"quality": 90} if encoding == "jpeg" else {"compress_level": 1}
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, encoding, **options)
    return file.getvalue()


@functools.lru_cache(maxsize=2)
def _noise(seed: int, values: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns two blocks of noise, uint8 below 64 and below 32."""
    random = np.random.default_rng(seed)
    length = (1 << _OFFSET_BITS) + values
    return (
        random.integers(0, 64, length, np.uint8),
        random.integers(0, 32, length, np.uint8),
    )


@functools.lru_cache(maxsize=64)
def _pattern(label: int, seed: int, size: int, channels: int) -> np.ndarray:
    """Returns the pattern of a class, flat, uint8 up to 160."""
    random = np.random.default_rng((seed, label))
    shape = (_PATTERN, _PATTERN, channels)
    coarse = random.integers(0, 161, shape, np.uint8)
    rows = np.arange(size) * _PATTERN // size
    return coarse[rows[:, None], rows].reshape(-1)


def _mixed(seed: int, number: int, purpose: str) -> int:
    """Returns 64 bits that look random, different for each purpose.

    It is the finaliser of SplitMix64: G. Steele, D. Lea and C. Flood, "Fast
    splittable pseudorandom number generators", OOPSLA 2014.
    """
    bits = (number + _salt(seed, purpose)) % 2**64
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % 2**64
    return bits ^ bits >> 31


@functools.cache
def _salt(seed: int, purpose: str) -> int:
    return int(fingerprint.of(seed, purpose)[:16], 16)
