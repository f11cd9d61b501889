"""Holds a product and a sum with constants until a layer takes them up."""

import dataclasses
import math
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Affine:
    """Stands for `base * scale + shift`, which no layer computes yet.

    A convolution behind it, or before it, takes it into its kernel where the
    result is the same; otherwise it becomes a 1x1 depthwise convolution. Those
    in a row become one.

    Attributes:
        base: A symbolic tensor.
        scale: Numbers that broadcast to an image of `base`, with as many axes.
        shift: Likewise.
        trainable: Whether training changes the numbers.
        alone: Whether nothing else reads what lies between `base` and this.
        site: Where it comes from; gives the layers their names.
        part: What it does there, as in `Site.add`.
    """

    base: keras.KerasTensor
    scale: np.ndarray
    shift: np.ndarray
    trainable: bool
    alone: bool
    site: Any
    part: str

    @property
    def shape(self) -> tuple:
        """Returns the shape, the batch's axis among it."""
        return tuple(self.base.shape)

    @property
    def per_channel(self) -> bool:
        """Tells whether places of a map have the same numbers."""
        leading = self.scale.shape[:-1] + self.shift.shape[:-1]
        return all(size == 1 for size in leading)

    def channels(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns factor and summand of each channel, float64 [channels]."""
        size = (self.shape[-1],)
        return (
            np.broadcast_to(self.scale.reshape(-1), size),
            np.broadcast_to(self.shift.reshape(-1), size),
        )


def tensor_of(given: Affine) -> keras.KerasTensor:
    """Makes the layers that compute an `Affine`, and returns its tensor."""
    into = given.base._keras_history.operation
    if given.alone and given.per_channel and _taken_up(into, given):
        return given.base
    shape = given.shape[1:]
    if given.per_channel:
        channels = shape[-1]
        scale, shift = given.channels()
    else:
        channels = math.prod(shape)
        scale = np.broadcast_to(given.scale, shape).reshape(-1)
        shift = np.broadcast_to(given.shift, shape).reshape(-1)
    site, part = given.site, given.part
    as_map = (math.prod(shape) // channels, 1, channels)
    direct = len(shape) == 3 and given.per_channel
    x = given.base
    if not direct:
        x = site.add(
            keras.layers.Reshape,
            x,
            part=_join(part, "map"),
            target_shape=as_map,
        )
    has_shift = bool(np.any(shift))
    weights = [scale.reshape(1, 1, channels, 1)] + [shift] * has_shift
    x = site.weighted(
        keras.layers.DepthwiseConv2D,
        x,
        weights,
        part=part if direct else _join(part, "affine"),
        trainable=given.trainable,
        kernel_size=1,
        use_bias=has_shift,
    )
    if direct:
        return x
    return site.add(keras.layers.Reshape, x, part=part, target_shape=shape)


def _join(*parts: str) -> str:
    return "_".join(filter(None, parts))


_LINEAR = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Dense,
    keras.layers.DepthwiseConv2D,
)


def _taken_up(layer: keras.layers.Layer, given: Affine) -> bool:
    """Puts an `Affine` into the weights of the layer before it, if it can."""
    if type(layer) not in _LINEAR:
        return False
    scale, shift = given.channels()
    if np.any(shift) and not layer.use_bias:
        return False
    if given.trainable and not layer.trainable:
        return False
    kernel, *bias = (np.asarray(each, np.float64) for each in layer.weights)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        factor = scale.reshape(kernel.shape[2:])
    elif isinstance(layer, keras.layers.Conv2DTranspose):
        factor = scale[:, None]
    else:
        factor = scale
    layer.set_weights(
        [kernel * factor] + [each * scale + shift for each in bias]
    )
    return True
