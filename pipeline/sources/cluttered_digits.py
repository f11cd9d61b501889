"""Puts scikit-learn's scanned digits among clutter: easy images, and hard ones.

Each digit is enlarged, put somewhere on a dark square, and surrounded by
pieces of other digits and by noise, as in the cluttered translated digits of
Mnih et al., "Recurrent Models of Visual Attention", NIPS 2014, section 4.1.
How much there is of all that differs from image to image: many are easy, a few
hardly legible, which is what early exits live on.
"""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
from PIL import Image

from pipeline.data import splits
from pipeline.sources.digits import scans
from pipeline.sources.item import Found, Item
from pipeline.storage import fingerprint

# All views of a digit are in one split: else a model is tested on digits that
# it was shown.
_FRACTIONS = {"validation": 0.05, "calibration": 0.2, "test": 0.2}
# Sides of a digit and of a piece of another one, as shares of the image's.
_SIDES, _PIECE_SIDES = (0.44, 0.84), (0.16, 0.31)
_MOST_PIECES, _MOST_NOISE, _MOST_FADING = 6, 50.0, 0.6


@dataclasses.dataclass(frozen=True)
class ClutteredDigits:
    """Makes the images; a key is "digit/number/view", such as "3/0003/1".

    Attributes:
        views: Images of each of the 1,797 digits.
        size: Height and width.
        seed: Another seed gives other images.
    """

    views: int = 4
    size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least, most in (
            ("views", 1, 100),
            ("size", 16, 256),
            ("seed", 0, 2**31),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= most:
                raise ValueError(
                    f"`{name}` must be an integer from {least} to {most}. "
                    f"Received: {name}={value!r}"
                )

    def find(self) -> Found:
        """Returns the ten labels, one piece, and all four splits."""
        _, labels = scans()
        return Found(
            tuple("0123456789"),
            ("all",),
            len(labels) * self.views,
            splits.SPLITS,
        )

    def paths(self) -> tuple[str, ...]:
        """Returns no path: the digits come with scikit-learn."""
        return ()

    def items(self, piece: str) -> Iterator[Item]:
        """Yields all views of all digits."""
        digits, labels = scans()
        for number, label in enumerate(labels.tolist()):
            scan = splits.identity(digits[number])
            split = splits.assign(scan, _FRACTIONS, self.seed)
            for view in range(self.views):
                key = f"{label}/{number:04d}/{view}"
                yield Item(key, label, f"{number}/{view}", split)

    def load(self, location: str) -> np.ndarray:
        """Returns an image, uint8 [size, size]."""
        number, view = map(int, location.split("/"))
        digits, _ = scans()
        rng = np.random.default_rng((self.seed, number, view))
        # Squared, so that most are easy.
        hardness = rng.random() ** 2
        canvas = np.zeros((self.size, self.size), np.float32)
        for _ in range(int(hardness * _MOST_PIECES)):
            other = digits[rng.integers(len(digits))]
            row, column = rng.integers(0, 4, 2)
            _put(
                canvas,
                other[row : row + 4, column : column + 4],
                self._side(rng, _PIECE_SIDES),
                rng.uniform(0.5, 1.0),
                rng,
            )
        _put(
            canvas,
            digits[number],
            self._side(rng, _SIDES),
            1 - _MOST_FADING * hardness * rng.random(),
            rng,
        )
        canvas += rng.normal(0.0, _MOST_NOISE * hardness, canvas.shape)
        return np.clip(canvas, 0, 255).astype(np.uint8)

    def state(self) -> str:
        """Returns a hash that changes when the images do."""
        return fingerprint.of("cluttered_digits", dataclasses.astuple(self))

    def _side(self, rng, shares):
        low, high = (round(share * self.size) for share in shares)
        return int(rng.integers(low, high + 1))


def _put(canvas, image, side, brightness, rng):
    """Enlarges an image and puts it somewhere on a canvas, the lighter wins."""
    large = _enlarged(image.tobytes(), image.shape, side) * brightness
    row, column = rng.integers(0, len(canvas) - side + 1, 2)
    place = canvas[row : row + side, column : column + side]
    np.maximum(place, large, out=place)


@functools.lru_cache(maxsize=4096)
def _enlarged(content: bytes, shape: tuple[int, int], side: int) -> np.ndarray:
    image = np.frombuffer(content, np.uint8).reshape(shape)
    resized = Image.fromarray(image).resize((side, side), Image.BILINEAR)
    return np.asarray(resized, np.float32)
