"""The 1,797 handwritten digits of 8x8 pixels that scikit-learn carries.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI
Machine Learning Repository, 1998 (its test set). No file and no network is
needed, so this is the data of the demo and of the tests.
"""

import functools

import numpy as np
from PIL import Image

from pipeline.sources.listing import Item, Listing


def find() -> Listing:
    """Lists the digits; a key is "digit/number", such as "3/0003"."""
    _, labels = _digits()
    return Listing(
        labels=tuple("0123456789"),
        items=tuple(
            Item(f"{label}/{index:04d}", int(label), str(index))
            for index, label in enumerate(labels)
        ),
    )


def load(location: str) -> Image.Image:
    """Returns a digit as a grey 8x8 image."""
    images, _ = _digits()
    return Image.fromarray(images[int(location)])


@functools.cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns the images, uint8 [1797, 8, 8], and the labels, int [1797].

    A pixel counts the dark ones among 16, so it has 17 levels. Level v becomes
    255 v / 16 rounded (halves up): 0 stays 0, 16 becomes 255, no two levels
    fall together.
    """
    from sklearn import datasets  # Takes a second; other sources need it not.

    digits = datasets.load_digits()
    levels = digits.images.astype(np.int32)
    return ((levels * 255 + 8) // 16).astype(np.uint8), digits.target


def state() -> str:
    """A hash that changes when the images do: they never do."""
    return "digits"
