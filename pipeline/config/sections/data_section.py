"""Holds `config.data`: which images there are, and what is made of them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pipeline.config.setting import setting
from pipeline.config.value_rules import (
    Rule,
    at_least,
    below_one,
    between,
    one_of,
)

SOURCES = (
    "cifar",
    "cluttered_digits",
    "digits",
    "idx",
    "image_folder",
    "synthetic",
    "table",
    "tfrecord",
)
STORAGE = ("auto", "raw", "encoded")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fractions:
    """Gives each split a share of the images; train gets the rest.

    A split that the publisher chose stays as it is.
    """

    validation: float = setting(
        0.1, "Share that chooses the epoch.", below_one()
    )
    calibration: float = setting(
        0.1, "Share that the exit policy is fitted on.", below_one()
    )
    test: float = setting(
        0.1, "Share that everything is measured on.", below_one()
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Says which images there are, and what data set is made of them."""

    source: str = setting(
        "image_folder",
        "Where images come from ([sources](sources.md)).",
        one_of(*SOURCES),
    )
    source_options: Mapping[str, Any] = setting(
        dict, "Options of the source, such as `path`."
    )
    size: int = setting(
        32, "Height and width of the stored images.", at_least(1)
    )
    channels: int = setting(3, "1 for grey, 3 for RGB.", one_of(1, 3))
    fractions: Fractions = setting(
        Fractions,
        rule=Rule(
            "shares that leave some for train",
            lambda shares: sum(shares.values()) < 1,
        ),
    )
    least: int = setting(
        50,
        "Images, about, that each share is raised to if there are few; shares "
        "that are 0 stay.",
        at_least(0),
    )
    untaught: str = setting(
        "refuse",
        '"refuse" or "keep" classes of which fewer than six images are left to '
        "train on.",
        one_of("refuse", "keep"),
    )
    shard_images: int = setting(
        5000,
        "Images per bucket, at most, on average. A bucket has a shard for each "
        "split.",
        at_least(1),
    )
    storage: str = setting(
        "auto",
        '"raw" stores pixels, "encoded" JPEG or PNG files; "auto" is raw up to '
        "`raw_bytes`.",
        one_of(*STORAGE),
    )
    raw_bytes: int = setting(
        12_288,
        'Bytes of an image, height x width x channels, up to which "auto" '
        "stores pixels.",
        at_least(0),
    )
    duplicates: str = setting(
        "keep",
        '"keep" or "drop" exact copies of an image within a split. One of an '
        "image in another, published split is always dropped.",
        one_of("keep", "drop"),
    )
    min_side: int = setting(
        1, "Images with a shorter side than this are set aside.", at_least(1)
    )
    max_pixels: int = setting(
        64_000_000,
        "Images with more pixels than this are set aside.",
        at_least(1),
    )
    modes: tuple[str, ...] = setting(
        (),
        'Pillow modes to accept, such as `("RGB", "L")`; empty for all.',
    )
    formats: tuple[str, ...] = setting(
        FORMATS,
        "Formats to accept, whatever the name of the file is; of several "
        "pictures in one the first is read.",
        Rule(
            f"some of {', '.join(FORMATS)}",
            lambda formats: bool(formats) and not set(formats) - set(FORMATS),
        ),
    )
    max_rejected: float = setting(
        0.01,
        "Largest share of the images that may be set aside; unless it is 0, a "
        "few may be (docs/data.md).",
        between(0, 1),
    )
    directory: str = setting(
        "",
        'Where the data set goes, such as "gs://bucket/photos"; the working '
        "directory then gets a copy, or a link to another local directory.",
    )
    seed: int = setting(
        0,
        "Another seed gives other splits and another order; the top-level "
        "`seed` is that of training.",
    )
