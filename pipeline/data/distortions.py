"""Changes colours and shapes in photographs at random, as a network may see."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from pipeline.data.part import Part

# Of ITU-R BT.601, as Pillow has it.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_GREY = 128
_STRONGEST = 10.0


def jittered(
    images: np.ndarray,
    generator: np.random.Generator,
    part: Part,
    *,
    brightness: float,
    contrast: float,
    saturation: float,
) -> np.ndarray:
    """Changes brightness, contrast and saturation of each image.

    Each is multiplied by a factor of its own, uniform from 1 - x to 1 + x with
    x the argument: brightness first, then the distance of each value from the
    image's mean grey, then that of each colour from its grey. Together they are
    one sum per value.

    Args:
        images: uint8 [B, H, W, C], of one or three channels.
        generator: Generator to draw from.
        part: Place of the images in their batch.
        brightness: Largest change of the brightness, at least 0 and below 1.
        contrast: Largest change of the contrast, as far.
        saturation: Largest change of the saturation, as far.

    Returns:
        uint8 [B, H, W, C]; the images themselves if all three are 0.

    Raises:
        ValueError: If a number is out of its range.
    """
    most = {
        "brightness": brightness,
        "contrast": contrast,
        "saturation": saturation,
    }
    for name, value in most.items():
        if not 0 <= value < 1:
            raise ValueError(
                f"`{name}` must be at least 0 and below 1. "
                f"Received: {name}={value}"
            )
    if not any(most.values()):
        return images
    drawn = generator.uniform(-1, 1, (3, part.whole))[:, part.rows]
    factors = 1 + drawn * np.array(list(most.values()))[:, None]
    result = np.empty_like(images)
    for pixels, out, (bright, contrasted, coloured) in zip(
        images, result, factors.T.astype(np.float32), strict=True
    ):
        scale = bright * contrasted
        weights = _LUMA if pixels.shape[-1] == 3 else np.ones(1, np.float32)
        grey = pixels @ weights
        mean = (1 - contrasted) * bright * grey.mean()
        changed = (scale * coloured) * pixels
        changed += (scale * (1 - coloured) * grey + mean)[..., None]
        np.clip(np.rint(changed, out=changed), 0, 255, out=changed)
        out[...] = changed
    return result


def rand_augmented(
    images: np.ndarray,
    generator: np.random.Generator,
    part: Part,
    *,
    operations: int,
    magnitude: float,
) -> np.ndarray:
    """Applies a few operations to each image, chosen at random from 14.

    As in Cubuk et al., "RandAugment", arXiv 1909.13719: all are as likely and
    as strong, in one direction or the other. What is moved in is grey.

    Args:
        images: uint8 [B, H, H, C], of one or three channels.
        generator: Generator to draw from.
        part: Place of the images in their batch.
        operations: Operations per image, one after another; 0 for none.
        magnitude: How strong they are, from 0 to 10; the paper has 9 for
            ImageNet and small networks.

    Returns:
        uint8 [B, H, H, C]; the images themselves without operations.

    Raises:
        ValueError: If a number is out of its range.
    """
    if operations < 0 or operations != int(operations):
        raise ValueError(
            "`operations` must be a whole number, at least 0. "
            f"Received: operations={operations}"
        )
    if not 0 <= magnitude <= _STRONGEST:
        raise ValueError(
            f"`magnitude` must be from 0 to 10. Received: magnitude={magnitude}"
        )
    if not operations:
        return images
    shape = (int(operations), part.whole)
    chosen = generator.integers(len(_OPERATIONS), size=shape)[:, part.rows]
    signs = generator.choice((-1, 1), size=shape)[:, part.rows]
    strength = magnitude / _STRONGEST
    result = np.empty_like(images)
    pictures = images.squeeze(-1) if images.shape[-1] == 1 else images
    for number, out in enumerate(result):
        picture = Image.fromarray(pictures[number])
        for which, sign in zip(
            chosen[:, number], signs[:, number], strict=True
        ):
            picture = _OPERATIONS[which](picture, float(sign * strength))
        out[...] = np.asarray(picture).reshape(out.shape)
    return result


def _enhanced(kind: type) -> Callable:
    """Returns an operation that moves an image away from a plain one."""

    def change(picture: Image.Image, strength: float) -> Image.Image:
        return kind(picture).enhance(1 + 0.9 * strength)

    return change


def _moved(row: Callable[[float, int], Sequence[float]]) -> Callable:
    """Returns an operation of the affine map that `row` gives."""

    def change(picture: Image.Image, strength: float) -> Image.Image:
        fill = _GREY if picture.mode == "L" else (_GREY,) * 3
        return picture.transform(
            picture.size,
            Image.Transform.AFFINE,
            row(strength, picture.width),
            Image.Resampling.BILINEAR,
            fillcolor=fill,
        )

    return change


def _rotated(picture: Image.Image, strength: float) -> Image.Image:
    fill = _GREY if picture.mode == "L" else (_GREY,) * 3
    return picture.rotate(
        30 * strength, Image.Resampling.BILINEAR, fillcolor=fill
    )


_OPERATIONS = (
    lambda picture, strength: picture,
    lambda picture, strength: ImageOps.autocontrast(picture),
    lambda picture, strength: ImageOps.equalize(picture),
    lambda picture, strength: ImageOps.posterize(
        picture, 8 - round(4 * abs(strength))
    ),
    lambda picture, strength: ImageOps.solarize(
        picture, 256 - round(256 * abs(strength))
    ),
    _enhanced(ImageEnhance.Color),
    _enhanced(ImageEnhance.Contrast),
    _enhanced(ImageEnhance.Brightness),
    _enhanced(ImageEnhance.Sharpness),
    _rotated,
    _moved(lambda strength, side: (1, 0.3 * strength, 0, 0, 1, 0)),
    _moved(lambda strength, side: (1, 0, 0, 0.3 * strength, 1, 0)),
    _moved(lambda strength, side: (1, 0, 0.3 * strength * side, 0, 1, 0)),
    _moved(lambda strength, side: (1, 0, 0, 0, 1, 0.3 * strength * side)),
)
