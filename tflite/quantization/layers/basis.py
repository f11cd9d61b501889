"""Layers of Keras 3 that are others, or several, in the legacy Keras.

BasisNet's convolutions, with a kernel for each image, in operators that XNNPACK
runs in int8 (docs/decisions.md): FULLY_CONNECTED combines the kernel, and
BATCH_MATMUL multiplies the map with it. A depthwise convolution of one place
gives what a convolution has and a product of matrices has not: a bias, a scale
for each channel, and something to fold a normalisation into.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tf_keras

from keras_dynamic import layers
from tflite.quantization.layers import counterparts


@dataclasses.dataclass(frozen=True)
class Part:
    """A layer of the legacy Keras, and what it is to have once it is built.

    Attributes:
        layer: Its name is that of the layer of Keras 3, with the name of the
            part behind a dot where it is one of several.
        weights: Its weights, float32.
        trainable: Whether fine-tuning changes them.
    """

    layer: tf_keras.layers.Layer
    weights: Sequence[np.ndarray] = ()
    trainable: bool = True


Find = Callable[[Part], Callable]
"""Gives what is called for a part: its layer, or one that stands for it."""


def coefficients(
    layer: layers.BasisCoefficients, scores: keras.KerasTensor, find: Find
) -> list:
    """What `BasisCoefficients` gives outside of training.

    Args:
        layer: The layer of Keras 3.
        scores: [batch, vectors * bases].
        find: See `Find`.

    Returns:
        As many tensors [batch, bases] as there are vectors.
    """
    name, bases = layer.name, layer.bases
    if layer.temperature != 1:
        factor = counterparts.Multiple(
            1 / layer.temperature, name=f"{name}.temperature"
        )
        scores = find(Part(factor))(scores)
    every = counterparts.Coefficients(
        layer.vectors, layer.activation, name=name
    )
    found = find(Part(every))(scores)
    if layer.vectors == 1:
        return [found]
    return [
        find(
            Part(
                counterparts.Slice(
                    i * bases, (i + 1) * bases, name=f"{name}.{i}"
                )
            )
        )(found)
        for i in range(layer.vectors)
    ]


def convolution(
    layer: layers.BasisConv2D, inputs: Sequence, find: Find
) -> keras.KerasTensor:
    """What `BasisConv2D` gives.

    Args:
        layer: The layer of Keras 3.
        inputs: The map and the coefficients.
        find: See `Find`.
    """
    x, alpha = inputs
    name = layer.name
    kernel, *bias = (np.asarray(each, np.float32) for each in layer.weights)
    bases, height, width, channels, filters = kernel.shape
    x = _seen(layer, x, find)
    factors = _factors(kernel)
    combined = counterparts.CombinedKernel(
        height * width * channels, filters, name=f"{name}.kernel"
    )
    flat = (kernel / factors).reshape(bases, -1)
    own = find(Part(combined, [flat], layer.trainable))(alpha)
    product = counterparts.Product(name=f"{name}.product")
    y = find(Part(product))([x, own])
    last = tf_keras.layers.DepthwiseConv2D(
        1, use_bias=layer.use_bias, name=name
    )
    weights = [factors.reshape(1, 1, filters, 1), *bias]
    # Without a bias, what it could learn is that of a normalisation behind it.
    trainable = layer.trainable and layer.use_bias
    return find(Part(last, weights, trainable))(y)


def _seen(layer, x, find):
    """What the kernel sees at each place, by place and then channel."""
    name, kernel, stride = layer.name, layer.kernel_size, layer.strides[0]
    if layer.padding == "same":
        lost = [
            max((-(-side // stride) - 1) * stride + taps - side, 0)
            for side, taps in zip(x.shape[1:3], kernel, strict=True)
        ]
        # As in TensorFlow, an odd one goes behind.
        sides = tuple((each // 2, each - each // 2) for each in lost)
        if any(lost):
            padding = tf_keras.layers.ZeroPadding2D(sides, name=f"{name}.pad")
            x = find(Part(padding))(x)
    if kernel != (1, 1):
        x = find(Part(counterparts.Taps(*kernel, name=f"{name}.taps")))(x)
    if stride > 1:
        # XNNPACK's slices have no strides.
        thin = tf_keras.layers.DepthwiseConv2D(
            1, strides=stride, use_bias=False, name=f"{name}.thin"
        )
        ones = np.ones((1, 1, x.shape[-1], 1), np.float32)
        x = find(Part(thin, [ones], trainable=False))(x)
    return x


def _factors(kernel):
    """How much smaller each output's bases are than the largest's.

    Divided by these, all make use of the one int8 scale that a combined kernel
    has. Multiples of 1/127, so that they are int8 numbers themselves.
    """
    largest = np.abs(kernel).max(axis=(0, 1, 2, 3))
    shares = largest / max(largest.max(), np.finfo(np.float32).tiny)
    return np.maximum(np.ceil(127 * shares), 1).astype(np.float32) / 127


def score(layer: layers.Score, inputs: keras.KerasTensor, find: Find) -> Any:
    """What `Score` gives outside of training: a plain convolution.

    Args:
        layer: The layer of Keras 3.
        inputs: [batch, height, width, channels].
        find: See `Find`.

    Returns:
        [batch, height, width, filters].
    """
    made = tf_keras.layers.Conv2D(layer.filters, 1, name=layer.name)
    weights = [np.asarray(each, np.float32) for each in layer.plain()]
    return find(Part(made, weights, layer.trainable))(inputs)
