"""Counts what the images of a data set are like, in numbers that add up.

A tally is plain JSON, made of integers only, so tallies of parts add up to the
same numbers in whatever order:

    {"classes": {label: images}, "sides": [images per bin of `SIDES`],
     "levels": [[sum, sum of squares] of the pixels, per channel],
     "pixels": pixels per channel}
"""

import bisect
import collections
from collections.abc import Iterable

import numpy as np

# Lower edges of the bins of the shorter side of an image as it came.
SIDES = (1, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)

# Of every value that a pixel can have: itself, and its square.
_POWERS = np.stack([np.arange(256), np.arange(256) ** 2])

# Pixels are added up many images at a time.
_FULL = 1 << 19


class Counter:
    """Counts images as they are stored."""

    def __init__(self, channels: int):
        self._channels = channels
        self._classes = collections.Counter()
        self._sides = [0] * len(SIDES)
        self._levels = np.zeros((channels, 2), np.int64)
        self._pixels = 0
        self._waiting: list[np.ndarray] = []
        self._bytes = 0

    def add(
        self, pixels: np.ndarray, label: int, height: int, width: int
    ) -> None:
        """Counts one image, uint8 [H, W, C], and the size in which it came."""
        self._classes[label] += 1
        self._sides[bisect.bisect(SIDES, min(height, width)) - 1] += 1
        self._waiting.append(pixels)
        self._bytes += pixels.size
        if self._bytes >= _FULL:
            self._add_up()

    def tally(self) -> dict:
        """Returns the tally of the images that were added."""
        self._add_up()
        return {
            "classes": {str(k): n for k, n in sorted(self._classes.items())},
            "sides": self._sides,
            "levels": self._levels.tolist(),
            "pixels": self._pixels,
        }

    def _add_up(self) -> None:
        if not self._waiting:
            return
        pixels = np.concatenate(
            [image.reshape(-1, self._channels) for image in self._waiting]
        )
        for channel in range(self._channels):
            # Counting the 256 values is faster than any sum of them.
            counts = np.bincount(pixels[:, channel], minlength=256)
            self._levels[channel] += _POWERS @ counts
        self._pixels += len(pixels)
        self._waiting, self._bytes = [], 0


def add(tallies: Iterable[dict]) -> dict:
    """Returns the tally of all images that some tallies counted."""
    classes = collections.Counter()
    sides, levels, pixels = np.zeros(len(SIDES), np.int64), 0, 0
    for tally in tallies:
        classes.update(tally["classes"])
        sides += tally["sides"]
        levels = levels + np.array(tally["levels"], np.int64)
        pixels += tally["pixels"]
    return {
        "classes": dict(classes),
        "sides": sides.tolist(),
        "levels": np.asarray(levels).tolist(),
        "pixels": pixels,
    }


def describe(tally: dict, classes: int) -> dict:
    """Returns a tally as the manifest shows it.

    Args:
        tally: Tally of at least one image.
        classes: Number of classes.

    Returns:
        {"classes": [images per class], "sides": [images per bin of `SIDES`],
        "channel_mean": [...], "channel_std": [...]}, of pixel / 255.
    """
    levels = np.array(tally["levels"], np.float64) / tally["pixels"]
    mean = levels[:, 0]
    variance = np.maximum(levels[:, 1] - mean**2, 0.0)
    return {
        "classes": [tally["classes"].get(str(k), 0) for k in range(classes)],
        "sides": tally["sides"],
        "channel_mean": (mean / 255).tolist(),
        "channel_std": (np.sqrt(variance) / 255).tolist(),
    }
