"""Lists the augmentations that show every image in one of few ways.

What is computed of an image can be kept for these: a frozen network sees no
other ones.
"""

from collections.abc import Callable, Mapping

import numpy as np

from pipeline.data.augmentation import Part, center_crop, mirrored

# Function of a generator and a part to the number of each image's view.
Choice = Callable[[np.random.Generator, Part], np.ndarray]

# By the name of an augmentation. View 1 is the mirrored one.
_COUNTS: Mapping[str, int] = {"none": 1, "flip": 2}


def count(augmentation: str) -> int:
    """Returns the number of views of an image; 0 where they are countless."""
    return _COUNTS.get(augmentation, 0)


def choice(augmentation: str, *, flip: str = "random") -> Choice:
    """Returns the function that chooses as the augmentation itself does.

    Args:
        augmentation: Name of an augmentation with `count` views.
        flip: The option of that augmentation.
    """

    def choose(generator: np.random.Generator, part: Part) -> np.ndarray:
        if augmentation == "none":
            rows = range(part.whole)[part.rows]
            return np.zeros(len(rows), np.int64)
        return mirrored(generator, part, flip).astype(np.int64)

    return choose


def view(images: np.ndarray, size: int, number: int) -> np.ndarray:
    """Shows images in one of the ways.

    Args:
        images: uint8 [B, H, H, C].
        size: Height and width of the result.
        number: Number of the view.

    Returns:
        uint8 [B, size, size, C].
    """
    cropped = center_crop(images, size)
    return cropped[:, :, ::-1] if number else cropped
