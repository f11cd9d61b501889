"""Names the sources that images come from: one module per source.

A source is a frozen dataclass. Its fields are its options; it is pickled to
the workers, and has five methods:

    find() -> Found                  in the driver; cheap, reads no pixels
    paths() -> tuple of str          in the driver: files, directories it reads
    items(piece) -> iterator of Item in a worker: lists what a piece holds
    load(location) -> bytes or array in a worker: one image
    state() -> str                   a hash that changes when the images do

`load` returns the bytes of a JPEG or PNG file, or pixels, uint8 [H, W] or
[H, W, C]. It raises `BadImage` for an image to be set aside; any other error
stops the run. Every file, row or record that is found becomes an item: one
that cannot be an image is an item with a reason.
"""

import importlib
import inspect
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np

from pipeline.sources.item import Found, Item

# A module is imported when its source is asked for.
_SOURCES = {
    "cifar": "Cifar",
    "cluttered_digits": "ClutteredDigits",
    "digits": "Digits",
    "idx": "Idx",
    "image_folder": "ImageFolder",
    "synthetic": "Synthetic",
    "table": "Table",
    "tfrecord": "TFRecord",
}


@runtime_checkable  # Beam checks the types of what its steps take.
class Source(Protocol):
    """Describes the methods that every source has."""

    def find(self) -> Found:
        """Returns the labels and the pieces that the source has."""

    def paths(self) -> tuple[str, ...]:
        """Returns the files and directories that it reads: none is replaced."""

    def items(self, piece: str) -> Iterator[Item]:
        """Yields the items of one piece."""

    def load(self, location: str) -> bytes | np.ndarray:
        """Returns one image, encoded or as pixels."""

    def state(self) -> str:
        """Returns a hash that changes when the images do."""


def names() -> tuple[str, ...]:
    """Returns the names of all sources."""
    return tuple(sorted(_SOURCES))


def build(name: str, **options: object) -> Source:
    """Returns the source of a name, made with these options.

    Raises:
        ValueError: There is no such source, or it has other options.
    """
    if name not in _SOURCES:
        raise ValueError(
            f"`source` must be one of {', '.join(names())}. "
            f"Received: source={name!r}"
        )
    module = importlib.import_module(f"pipeline.sources.{name}")
    source = getattr(module, _SOURCES[name])
    try:
        inspect.signature(source).bind(**options)
    except TypeError as error:
        raise ValueError(
            f"`data.source_options` do not fit source {name!r}: {error}. "
            f"Received: {options}"
        ) from error
    return source(**options)
