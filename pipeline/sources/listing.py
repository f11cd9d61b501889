"""What a source found."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Item:
    """One image that was listed but not yet read.

    Attributes:
        key: Names the image for ever: its split follows from it. Unique,
            relative, the same on every machine.
        label: Index into `Listing.labels`.
        location: What the source's `load` needs to read the image.
        split: The split that the publisher of the data chose for this image,
            or None to choose by hash.
    """

    key: str
    label: int
    location: str
    split: str | None = None


@dataclasses.dataclass(frozen=True)
class Listing:
    """All that a source holds.

    Attributes:
        labels: Class names, in the order of their labels.
        items: The images.
        rejected: (key, reason) of what was found and cannot be an image.
    """

    labels: tuple[str, ...]
    items: tuple[Item, ...]
    rejected: tuple[tuple[str, str], ...] = ()
