"""Random changes of the training images, and the crop for evaluation.

An augmentation maps a batch, uint8 [B, H, H, C], and a seed, int32 [2], to
[B, size, size, C] with pixels in 0..255, uint8 or float32. It draws from
stateless operations only, so the seed decides everything. Images of a batch
are changed all at once, which is faster than one by one.
"""

import functools
import inspect
import math
from collections.abc import Callable

import tensorflow as tf

Augmentation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


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
        inspect.signature(function).bind(None, None, size=size, **options)
    except TypeError as error:
        raise ValueError(
            f"Augmentation {name!r} cannot take its options: {error}. "
            f"Received: {options}"
        ) from error
    return functools.partial(function, size=size, **options)


def center_crop(images, size: int):
    """Cuts the centre out of a batch, an array or a tensor [N, H, H, C].

    Of an odd rest the larger half is cut at the bottom and at the right.

    Raises:
        ValueError: The images are smaller than `size`.
    """
    start = _spare(images, size) // 2
    return images[:, start : start + size, start : start + size]


def _none(images: tf.Tensor, seed: tf.Tensor, *, size: int) -> tf.Tensor:
    """Crops the centre."""
    del seed
    return center_crop(images, size)


def _crop_flip(
    images: tf.Tensor, seed: tf.Tensor, *, size: int, padding: int = 4
) -> tf.Tensor:
    """Pads with zeros, crops at random, mirrors half of the images.

    The usual one for CIFAR: He et al., "Deep Residual Learning for Image
    Recognition", section 4.2; also in the code of RANet and MSDNet.
    """
    crop_seed, flip_seed = tf.unstack(tf.random.split(seed))
    return _flip(
        _shift(images, crop_seed, size=size, pixels=padding), flip_seed
    )


def _shift(
    images: tf.Tensor, seed: tf.Tensor, *, size: int, pixels: int = 2
) -> tf.Tensor:
    """Shifts each way by at most `pixels`, filling with zeros.

    For images whose mirror image means something else, such as digits. Stored
    images larger than `size` are cropped anywhere.
    """
    spare = _spare(images, size) + 2 * pixels
    images = tf.pad(images, [[0, 0], [pixels] * 2, [pixels] * 2, [0, 0]])
    starts = tf.random.stateless_uniform(
        [tf.shape(images)[0], 2], seed, maxval=spare + 1, dtype=tf.int32
    )
    indices = starts[:, :, None] + tf.range(size)
    images = tf.gather(images, indices[:, 0], axis=1, batch_dims=1)
    return tf.gather(images, indices[:, 1], axis=2, batch_dims=1)


def _resized_crop_flip(
    images: tf.Tensor,
    seed: tf.Tensor,
    *,
    size: int,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> tf.Tensor:
    """Resizes a random box to the input size, mirrors half of the images.

    The usual one for ImageNet: Szegedy et al., "Going Deeper with
    Convolutions", section 6. Bilinear with antialiasing; the pixels beside
    the box count at its border.

    Args:
        images: uint8 [B, H, H, C].
        seed: int32 [2].
        size: Height and width of the result.
        scale: Least and largest share of the area in the box.
        ratio: Least and largest width / height of the box.
    """
    crop_seed, flip_seed = tf.unstack(tf.random.split(seed))
    starts, extents = _random_boxes(
        tf.shape(images)[0], images.shape[1], crop_seed, scale, ratio
    )
    factors = size / tf.cast(extents, tf.float32)
    offsets = -tf.cast(starts, tf.float32) * factors

    def resize(one: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, factor, offset = one
        return tf.raw_ops.ScaleAndTranslate(
            images=image[None],
            size=[size, size],
            scale=factor,
            translation=offset,
            kernel_type="triangle",
            antialias=True,
        )[0]

    # One by one: each image has a scale of its own.
    resized = tf.map_fn(
        resize, (images, factors, offsets), fn_output_signature=tf.float32
    )
    return _flip(resized, flip_seed)


def _random_boxes(
    count: tf.Tensor,
    side: int,
    seed: tf.Tensor,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws boxes in a square of `side`, as torchvision's RandomResizedCrop.

    The area is uniform, the ratio log-uniform. The first of ten draws that
    fits is taken, or else the whole square.

    Returns:
        The upper left corners and the extents, int32 [count, 2], (y, x).
    """
    draws = 10
    area_seed, ratio_seed, start_seed = tf.unstack(tf.random.split(seed, 3))
    area = side**2 * tf.random.stateless_uniform(
        [count, draws], area_seed, scale[0], scale[1]
    )
    aspect = tf.exp(
        tf.random.stateless_uniform(
            [count, draws], ratio_seed, math.log(ratio[0]), math.log(ratio[1])
        )
    )
    drawn = tf.round(tf.sqrt(tf.stack([area / aspect, area * aspect], -1)))
    fits = tf.reduce_all((drawn >= 1) & (drawn <= side), -1)
    first = tf.gather(drawn, tf.argmax(fits, 1), axis=1, batch_dims=1)
    extents = tf.where(tf.reduce_any(fits, 1)[:, None], first, float(side))
    room = side - extents + 1
    starts = tf.floor(
        tf.random.stateless_uniform([count, 2], start_seed) * room
    )
    return tf.cast(starts, tf.int32), tf.cast(extents, tf.int32)


def _spare(images, size: int) -> int:
    """Returns how many pixels the stored images are wider than `size`."""
    stored = images.shape[1]
    if stored < size:
        raise ValueError(
            f"`size` must be at most that of the stored images, {stored}. "
            f"Received: size={size}"
        )
    return stored - size


def _flip(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    mirrored = tf.random.stateless_uniform([tf.shape(images)[0]], seed) < 0.5
    return tf.where(
        mirrored[:, None, None, None], tf.reverse(images, [2]), images
    )


_AUGMENTATIONS = {
    "none": _none,
    "crop_flip": _crop_flip,
    "shift": _shift,
    "resized_crop_flip": _resized_crop_flip,
}
