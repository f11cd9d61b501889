"""Describes what a source finds, and the items in it."""

import dataclasses
from typing import NamedTuple

from tflite.bundle import class_names


class Item(NamedTuple):
    """Describes one image that was listed but not yet read.

    Attributes:
        key: Name of the image for ever: unique, relative, the same on every
            machine.
        label: Index into `Found.labels`; their number for an image whose class
            is not known, of the train split; -1 for an item that is set aside.
        location: Place from which the source's `load` reads the image.
        split: The split that the publisher of the data chose for this image,
            or None to choose by hash.
        reason: Why it cannot be an image, for an item set aside unread.
    """

    key: str
    label: int
    location: str
    split: str | None = None
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Found:
    """Tells what a source holds, as far as is known without reading images.

    Attributes:
        labels: Class names, in the order of their labels.
        pieces: Pieces that `items` lists one by one, in the workers.
        images: About how many there are; the number of shards follows.
        splits: Splits that the publisher chose, such as ("test",).
        divided: About how many of the images are divided by hash; None for all
            of them.
        unlabelled: How many of the images have no class.

    Raises:
        ValueError: A bundle would refuse one of the labels, after training.
    """

    labels: tuple[str, ...]
    pieces: tuple[str, ...]
    images: int
    splits: tuple[str, ...] = ()
    divided: int | None = None
    unlabelled: int = 0

    def __post_init__(self) -> None:
        class_names.check(self.labels)
