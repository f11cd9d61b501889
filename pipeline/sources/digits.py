"""Reads the 1,797 handwritten digits of 8x8 pixels that scikit-learn carries.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI
Machine Learning Repository, 1998 (its test set). No file and no network is
needed, so this is the data of the demo and of the tests.
"""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from pipeline.sources.item import Found, Item

_IMAGES = 1797


@dataclasses.dataclass(frozen=True)
class Digits:
    """Reads the digits; a key is "digit/number", such as "3/0003"."""

    def find(self) -> Found:
        """Returns the ten labels and one piece."""
        return Found(tuple("0123456789"), ("all",), _IMAGES)

    def paths(self) -> tuple[str, ...]:
        """Returns no path: the digits come with scikit-learn."""
        return ()

    def items(self, piece: str) -> Iterator[Item]:
        """Yields all digits."""
        _, labels = scans()
        for index, label in enumerate(labels.tolist()):
            yield Item(f"{label}/{index:04d}", label, str(index))

    def load(self, location: str) -> np.ndarray:
        """Returns a digit, uint8 [8, 8]."""
        images, _ = scans()
        return images[int(location)]

    def state(self) -> str:
        """Returns a hash that changes when the images do: they never do."""
        return "digits"


@functools.cache
def scans() -> tuple[np.ndarray, np.ndarray]:
    """Returns the images, uint8 [1797, 8, 8], and the labels, int [1797].

    A pixel counts the dark ones among 16, so it has 17 levels. Level v becomes
    255 v / 16 rounded (halves up): 0 stays 0, 16 becomes 255, no two levels
    fall together.
    """
    from sklearn import datasets  # Takes a second; other sources need it not.

    digits = datasets.load_digits()
    levels = digits.images.astype(np.int32)
    return ((levels * 255 + 8) // 16).astype(np.uint8), digits.target
