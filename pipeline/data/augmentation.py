"""Changes the training images at random, and crops them for evaluation.

An augmentation maps a batch, uint8 [B, H, H, C], and a random generator to
uint8 [B, size, size, C]. It draws from that generator only, so the generator's
seed decides everything but the fields of `Part`. Given a part of a batch, it
draws for the whole one and keeps the part's draws: the parts together equal the
whole batch. Images of a batch are cut all at once: numpy then copies rows of
pixels outside of Python's lock, so threads help.
"""

import functools
import inspect
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from pipeline.data import distortions, image
from pipeline.data.part import Part

# Of uint8, the middle.
_GREY = 128
_FLIPS = ("random", "alternating")

Augmentation = Callable[[np.ndarray, np.random.Generator, Part], np.ndarray]


def names() -> tuple[str, ...]:
    """Returns the names of all augmentations."""
    return tuple(_AUGMENTATIONS)


def get(name: str, *, size: int, **options: object) -> Augmentation:
    """Returns the augmentation of that name.

    Args:
        name: One of `names()`.
        size: Height and width of the result: the model's input.
        **options: Keyword arguments of that augmentation, such as `pixels` of
            "shift".

    Raises:
        ValueError: There is no such augmentation, or no such option.
    """
    if name not in _AUGMENTATIONS:
        raise ValueError(
            f"`augmentation` must be one of {', '.join(names())}. "
            f"Received: augmentation={name!r}"
        )
    function = _AUGMENTATIONS[name]
    try:
        inspect.signature(function).bind(*[None] * 3, size=size, **options)
    except TypeError as error:
        raise ValueError(
            f"Augmentation {name!r} cannot take its options: {error}. "
            f"Received: {options}"
        ) from error
    return functools.partial(function, size=size, **options)


def center_crop(images: np.ndarray, size: int) -> np.ndarray:
    """Cuts the centre out of a batch [N, H, H, C], without copying it.

    If the rest is odd, its larger half is cut at the bottom and at the right.

    Raises:
        ValueError: The images are smaller than `size`.
    """
    _spare(images, size)
    return image.centre(images, size, size)


def _none(
    images: np.ndarray,
    generator: np.random.Generator,
    part: Part,
    *,
    size: int,
) -> np.ndarray:
    """Crops the centre."""
    del generator, part
    return center_crop(images, size)


def _centre_flip(
    images: np.ndarray,
    generator: np.random.Generator,
    part: Part,
    *,
    size: int,
    flip: str = "random",
) -> np.ndarray:
    """Crops the centre, and mirrors half of the images; `flip` as elsewhere."""
    cropped = np.array(center_crop(images, size))
    return _mirror(cropped, mirrored(generator, part, flip))


def _crop_flip(
    images: np.ndarray,
    generator: np.random.Generator,
    part: Part,
    *,
    size: int,
    padding: int = 4,
    fill: str = "zeros",
    flip: str = "random",
    cutout: int = 0,
) -> np.ndarray:
    """Pads the images, crops them at random, and mirrors half of them.

    This is usual for CIFAR: He et al., "Deep Residual Learning for Image
    Recognition", section 4.2; also in the code of RANet and MSDNet. The options
    are for short trainings.

    Args:
        images: uint8 [B, H, H, C].
        generator: Generator to draw from.
        part: Place of the images in their batch.
        size: Height and width of the result.
        padding: Pixels on each side.
        fill: Values of the padding, "zeros" or "reflect": the image mirrored at
            its border.
        flip: "random", or "alternating": each image is mirrored in every second
            epoch, in the first one half of them (Jordan, "94% on CIFAR-10 in
            3.29 Seconds on a Single GPU", arXiv 2404.00498, section 3.6), so
            that two epochs show both sides of all.
        cutout: Pixels a side of a square, anywhere in the image, that becomes
            grey (DeVries and Taylor, arXiv 1708.04552); 0 for none.

    Raises:
        ValueError: There is no such choice, or no room for the square.
    """
    _require_choice("flip", flip, _FLIPS)
    shifted = _shift(
        images, generator, part, size=size, pixels=padding, fill=fill
    )
    flipped = _mirror(shifted, mirrored(generator, part, flip))
    return _cut_out(flipped, generator, part, cutout)


def _shift(
    images: np.ndarray,
    generator: np.random.Generator,
    part: Part,
    *,
    size: int,
    pixels: int = 2,
    fill: str = "zeros",
) -> np.ndarray:
    """Shifts the images each way by at most `pixels`, filling with zeros.

    It is for images whose mirror image means something else, such as digits.
    Stored images larger than `size` are cropped anywhere. `fill` may also be
    "reflect": the image mirrored at its border.
    """
    _require_choice("fill", fill, ("zeros", "reflect"))
    room = _spare(images, size) + 2 * pixels + 1
    count, side, _, channels = images.shape
    if fill == "zeros":
        padded = np.zeros(
            (count, side + 2 * pixels, side + 2 * pixels, channels), np.uint8
        )
        inside = slice(pixels, pixels + side)
        padded[:, inside, inside] = images
    else:
        border = [(0, 0), (pixels, pixels), (pixels, pixels), (0, 0)]
        padded = np.pad(images, border, mode="reflect")
    tops, lefts = generator.integers(room, size=(2, part.whole))[:, part.rows]
    # All crops of all images as a view, of which each image gets one. With
    # the channels in the rows numpy copies whole rows.
    crops = np.lib.stride_tricks.sliding_window_view(
        padded.reshape(*padded.shape[:2], -1),
        (size, size * channels),
        axis=(1, 2),
    )[:, :, ::channels]
    chosen = crops[np.arange(count), tops, lefts]
    return chosen.reshape(count, size, size, channels)


def _resized_crop_flip(
    images: np.ndarray,
    generator: np.random.Generator,
    part: Part,
    *,
    size: int,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    operations: int = 0,
    magnitude: float = 9.0,
) -> np.ndarray:
    """Resizes a random box to the input size, and mirrors half of the images.

    This is usual for ImageNet: Szegedy et al., "Going Deeper with
    Convolutions", section 6. Resizing is bilinear with antialiasing; the pixels
    beside the box count at its border. Colours and more change if wanted.

    Args:
        images: uint8 [B, H, H, C].
        generator: Generator to draw from.
        part: Place of the images in their batch.
        size: Height and width of the result.
        scale: Least and largest share of the area in the box.
        ratio: Least and largest width / height of the box.
        brightness: As in `distortions.jittered`.
        contrast: As there.
        saturation: As there.
        operations: As in `distortions.rand_augmented`.
        magnitude: As there.
    """
    count, side, _, channels = images.shape
    starts, extents = (
        drawn[part.rows]
        for drawn in _random_boxes(part.whole, side, generator, scale, ratio)
    )
    # Left, upper, right, lower, as Pillow has them.
    boxes = np.concatenate([starts, starts + extents], 1)[:, [1, 0, 3, 2]]
    resized = np.empty((count, size, size, channels), np.uint8)
    pictures = images.squeeze(-1) if channels == 1 else images
    for result, pixels, box in zip(
        resized, pictures, boxes.tolist(), strict=True
    ):
        picture = Image.fromarray(pixels).resize(
            (size, size), Image.Resampling.BILINEAR, box
        )
        result[...] = np.asarray(picture).reshape(result.shape)
    changed = distortions.rand_augmented(
        _flip(resized, generator, part),
        generator,
        part,
        operations=operations,
        magnitude=magnitude,
    )
    return distortions.jittered(
        changed,
        generator,
        part,
        brightness=brightness,
        contrast=contrast,
        saturation=saturation,
    )


def _random_boxes(
    count: int,
    side: int,
    generator: np.random.Generator,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Draws boxes in a square of `side`, like torchvision's RandomResizedCrop.

    The area is uniform, the ratio log-uniform. The first of ten draws that
    fits is taken, or else the whole square.

    Returns:
        The upper left corners and the extents, integers [count, 2], (y, x).
    """
    draws = (count, 10)
    area = side**2 * generator.uniform(*scale, draws)
    aspect = np.exp(
        generator.uniform(math.log(ratio[0]), math.log(ratio[1]), draws)
    )
    drawn = np.rint(np.sqrt(np.stack([area / aspect, area * aspect], -1)))
    fits = ((drawn >= 1) & (drawn <= side)).all(-1)
    first = drawn[np.arange(count), fits.argmax(1)].astype(np.int64)
    extents = np.where(fits.any(1)[:, None], first, side)
    starts = generator.integers(side - extents + 1)
    return starts, extents


def _spare(images: np.ndarray, size: int) -> int:
    """Returns by how many pixels the stored images are wider than `size`."""
    stored = images.shape[1]
    if stored < size:
        raise ValueError(
            f"`size` must be at most that of the stored images, {stored}. "
            f"Received: size={size}"
        )
    return stored - size


def _flip(
    images: np.ndarray, generator: np.random.Generator, part: Part
) -> np.ndarray:
    """Mirrors half of the images, in place."""
    return _mirror(images, mirrored(generator, part, "random"))


def mirrored(
    generator: np.random.Generator, part: Part, flip: str
) -> np.ndarray:
    """Chooses the images that are mirrored.

    Args:
        generator: Generator to draw from.
        part: Place of the images in their batch.
        flip: "random", or "alternating": those whose turn it is.

    Returns:
        bool [B].
    """
    _require_choice("flip", flip, _FLIPS)
    if flip == "random":
        return generator.random(part.whole)[part.rows] < 0.5
    return _turned(part)


def _mirror(images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mirrors the images that are chosen, bool [B], in place."""
    _, height, width, channels = images.shape
    mirrored = np.flatnonzero(chosen)
    # Reversed pixels as an index of bytes, which is much faster than [::-1].
    columns = np.arange(width * channels).reshape(width, channels)[::-1]
    rows = images[mirrored].reshape(-1, height, width * channels)
    rows = rows.take(columns.ravel(), axis=2, mode="clip")
    images[mirrored] = rows.reshape(-1, height, width, channels)
    return images


def _turned(part: Part) -> np.ndarray:
    if part.turned is None:
        raise ValueError(
            "`flip` must be 'random' where nobody counts epochs. "
            "Received: flip='alternating'"
        )
    return part.turned


def _cut_out(
    images: np.ndarray, generator: np.random.Generator, part: Part, side: int
) -> np.ndarray:
    """Makes a square of each image grey, in place."""
    if not side:
        return images
    count, size = images.shape[:2]
    if not 0 < side <= size:
        raise ValueError(
            f"`cutout` must be from 0 to the {size} pixels of an image. "
            f"Received: cutout={side}"
        )
    corners = generator.integers(size - side + 1, size=(2, part.whole))
    tops, lefts = corners[:, part.rows, None] + np.arange(side)
    rows = np.arange(count)[:, None, None]
    images[rows, tops[:, :, None], lefts[:, None, :]] = _GREY
    return images


def _require_choice(name: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise ValueError(
            f"`{name}` must be one of {', '.join(valid)}. "
            f"Received: {name}={value!r}"
        )


_AUGMENTATIONS = {
    "none": _none,
    "flip": _centre_flip,
    "crop_flip": _crop_flip,
    "shift": _shift,
    "resized_crop_flip": _resized_crop_flip,
}
