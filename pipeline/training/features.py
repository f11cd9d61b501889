"""Keeps what the frozen beginning of a model makes of all images, on disk.

One directory holds one such set, published whole or not at all, under a key of
all that it depends on. Another set takes its place.
"""

import dataclasses
import math
import pathlib
import shutil
from collections.abc import Mapping

import keras
import numpy as np

from pipeline.data import views
from pipeline.data.dataset import Split
from pipeline.processes import terminal
from pipeline.results import own_files
from pipeline.storage import publishing

_BATCH = 64
# Room on the disk that is left to others.
_SPARE = 2**30


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """Holds features of the images of a split, in their order.

    Attributes:
        arrays: One per feature, float32 [views, N, ...].
        labels: int32 [N].
    """

    arrays: tuple[np.ndarray, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(
        self, images: np.ndarray | slice, view: np.ndarray | int
    ) -> list[np.ndarray]:
        """Reads the features of some images, each float32 [n, ...].

        Args:
            images: Indices of the images.
            view: Number of the view, of each or of all.
        """
        return [np.array(each[view, images]) for each in self.arrays]


def size(prefix: keras.Model, images: int) -> float:
    """Returns the bytes that the features of so many images would take.

    It is infinite where the shape of one depends on the image.
    """
    total = 0
    for each in prefix.outputs:
        if None in each.shape[1:]:
            return math.inf
        total += 4 * math.prod(each.shape[1:])
    return total * images


def room(directory: pathlib.Path) -> float:
    """Returns the bytes that may be written near a directory, perhaps none."""
    while not directory.exists():
        directory = directory.parent
    return max(0, shutil.disk_usage(directory).free - _SPARE)


def kept(
    directory: pathlib.Path,
    key: str,
    prefix: keras.Model,
    splits: Mapping[str, tuple[Split, int]],
    *,
    size: int,
) -> dict[str, Features]:
    """Opens the features of that key, or computes and writes them first.

    Args:
        directory: Where they are, or will be in the place of others.
        key: Hash of all that they depend on.
        prefix: Model from images to features.
        splits: Images and their number of views, by the split's name.
        size: Height and width of the model's input.

    Returns:
        Features by the split's name.
    """
    mark = directory / "key.txt"
    if not (mark.exists() and mark.read_text() == key):
        with publishing.published(directory, own_files.FEATURES) as stage:
            stage.mkdir()
            for name, (images, count) in splits.items():
                _write(stage, name, prefix, images, count, size)
            (stage / mark.name).write_text(key)
    return {
        name: Features(
            tuple(
                np.load(directory / f"{name}_{k}.npy", mmap_mode="r")
                for k in range(len(prefix.outputs))
            ),
            images.labels,
        )
        for name, (images, _) in splits.items()
    }


def _write(stage, name, prefix, images, count, size):
    """Computes the features of a split, view after view."""
    total = len(images)
    arrays = [
        np.lib.format.open_memmap(
            stage / f"{name}_{k}.npy",
            mode="w+",
            dtype=np.float32,
            shape=(count, total, *each.shape[1:]),
        )
        for k, each in enumerate(prefix.outputs)
    ]
    places = [
        (number, start)
        for number in range(count)
        for start in range(0, total, _BATCH)
    ]
    bar = terminal.bar(iter(places), len(places), f"features of {name}")
    for number, start in bar:
        indices = np.arange(start, min(start + _BATCH, total))
        # Batches of one shape, so that the graph is traced once.
        padded = np.resize(indices, _BATCH)
        pixels = views.view(images.take(padded), size, number)
        scaled = np.divide(pixels, np.float32(255), dtype=np.float32)
        made = prefix.predict_on_batch(scaled)
        made = made if isinstance(made, list | tuple) else [made]
        for array, each in zip(arrays, made, strict=True):
            found = np.asarray(each, np.float32)[: len(indices)]
            array[number, start : start + len(indices)] = found
    for array in arrays:
        array.flush()
