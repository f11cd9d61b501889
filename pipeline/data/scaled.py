"""Scales the stored images of a split, for a training with smaller ones."""

import concurrent.futures
import dataclasses
import os

import numpy as np
from PIL import Image

from pipeline.data.dataset import Images, Split

# Images that a thread scales at a time.
_CHUNK = 256


@dataclasses.dataclass(frozen=True, eq=False)
class ScaledImages:
    """Scales images of a mapped split when they are taken.

    Attributes:
        images: The stored images.
        side: Height and width that they get.
    """

    images: Split
    side: int

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labels(self) -> np.ndarray:
        """Returns the labels, int32 [N]."""
        return self.images.labels

    @property
    def keys(self) -> tuple[str, ...]:
        """Returns the N names."""
        return self.images.keys

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Returns some of the images, uint8 [n, side, side, C]."""
        return _resized(self.images.take(indices), self.side)


def scaled(images: Split, side: int) -> Split | ScaledImages:
    """Scales the images of a split, bilinear with antialiasing.

    Args:
        images: Split from `dataset.open_split`; one in memory is scaled whole.
        side: Height and width of the result.
    """
    if not isinstance(images, Images):
        return ScaledImages(images, side)
    starts = range(0, len(images), _CHUNK)

    def part(start: int) -> np.ndarray:
        return _resized(images.images[start : start + _CHUNK], side)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        whole = np.concatenate(list(pool.map(part, starts)))
    return Images(whole, images.labels, images.keys)


def _resized(images: np.ndarray, side: int) -> np.ndarray:
    count, *_, channels = images.shape
    resized = np.empty((count, side, side, channels), np.uint8)
    pictures = images.squeeze(-1) if channels == 1 else images
    for result, pixels in zip(resized, pictures, strict=True):
        picture = Image.fromarray(pixels).resize(
            (side, side), Image.Resampling.BILINEAR
        )
        result[...] = np.asarray(picture).reshape(result.shape)
    return resized
