"""Draws what the augmentation of each training stage makes of some images."""

import base64
import dataclasses
import io
import os
from collections.abc import Mapping

import ml_collections
import numpy as np
from PIL import Image

from pipeline.config import training_stages
from pipeline.data import augmentation, dataset
from pipeline.data.manifest import stored_labels
from pipeline.data.part import Part
from pipeline.data.scaled import scaled

# Columns of a picture, and rows below that of the images as they are.
_IMAGES, _VIEWS = 8, 3
# Longest side of an image, and the space between two, in pixels.
_SIDE, _GAP = 72, 2


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Holds a picture of training images.

    Attributes:
        stages: Numbers of the training stages whose images it shows, from 1.
        name: Name of the augmentation.
        size: Height and width that the model sees.
        image: The picture, as a data URI: images side by side, in the first
            row as they are, below them as the augmentation gives them.
        width: Its width in pixels.
    """

    stages: tuple[int, ...]
    name: str
    size: int
    image: str
    width: int


def sheets(
    config: ml_collections.ConfigDict,
    data: str | os.PathLike,
    manifest: Mapping,
) -> list[Sheet]:
    """Draws a picture for each augmentation of the training.

    Args:
        config: The whole configuration.
        data: Directory of the prepared images.
        manifest: Its manifest.

    Returns:
        One per augmentation that changes images; none if no training images
        are there, or the prepared ones do not have the configured size.
    """
    images = _images(data, manifest)
    found: dict[tuple, list[int]] = {}
    stages = training_stages.of(config)
    for number, stage in enumerate(stages, start=1):
        if stage.train.augmentation != "none" and images is not None:
            options = stage.train.augmentation_options.to_dict()
            size = stage.train.size or stage.model.size
            key = (stage.train.augmentation, str(options), size)
            found.setdefault(key, []).append(number)
    return [
        _sheet(stages[numbers[0] - 1], numbers, images)
        for numbers in found.values()
    ]


def _images(data, manifest) -> dataset.Images | None:
    """Reads some images of the train split, from one shard alone."""
    shards = [
        each
        for each in manifest["shards"]
        if each["split"] == "train" and each["images"]
    ]
    if not shards:
        return None
    side, channels = manifest["size"], manifest["channels"]
    try:
        mapped = dataset.MappedImages(
            data,
            shards[:1],
            (side, side, channels),
            stored_labels(manifest, "train"),
            verify=False,
        )
    except ValueError:  # They were removed to save room.
        return None
    chosen = np.arange(min(_IMAGES, len(mapped)))
    return dataset.Images(mapped.take(chosen), mapped.labels[chosen], ())


def _sheet(stage, numbers, images) -> Sheet:
    size = stage.train.size or stage.model.size
    if size != stage.model.size:
        stored = images.images.shape[1]
        side = max(size, round(stored * size / stage.model.size))
        images = scaled(images, side)
    change = augmentation.get(
        stage.train.augmentation,
        size=size,
        **stage.train.augmentation_options,
    )
    pixels = images.images
    count = len(pixels)
    generator = np.random.default_rng(stage.seed)
    rows = [augmentation.center_crop(pixels, size)]
    for view in range(_VIEWS):
        # Where each is mirrored in every second epoch: as in the first ones.
        part = Part(slice(0, count), count, np.full(count, bool(view % 2)))
        rows.append(change(pixels, generator, part))
    image, width = _picture(rows)
    return Sheet(tuple(numbers), stage.train.augmentation, size, image, width)


def _picture(rows) -> tuple[str, int]:
    """Returns a data URI of rows of images, and the width."""
    side = min(_SIDE, rows[0].shape[1])
    step = side + _GAP
    whole = Image.new(
        "RGB", (step * len(rows[0]) - _GAP, step * len(rows) - _GAP), "white"
    )
    for row, pixels in enumerate(rows):
        for column, each in enumerate(pixels):
            grey = each.shape[-1] == 1
            picture = Image.fromarray(each.squeeze(-1) if grey else each)
            picture = picture.resize((side, side))
            whole.paste(picture, (column * step, row * step))
    file = io.BytesIO()
    whole.save(file, "WEBP", quality=80)
    text = base64.b64encode(file.getvalue()).decode()
    return f"data:image/webp;base64,{text}", whole.width
