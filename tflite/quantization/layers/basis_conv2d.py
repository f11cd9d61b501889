"""Makes several layers of `BasisConv2D` of `keras_dynamic.layers`.

They are a convolution with a kernel for each image, in operators that XNNPACK
runs in int8 (docs/decisions.md): FULLY_CONNECTED combines the kernel, and
BATCH_MATMUL multiplies the map with it. A depthwise convolution of one place
gives what a convolution has and a product of matrices has not: a bias, a scale
for each channel, and something to fold a normalisation into.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from keras_dynamic import layers
from tflite.quantization import quantize_configs
from tflite.quantization.quantizable import (
    Find,
    Part,
    Quantizable,
    weights_of,
)
from tflite.quantization.symmetric_range import SymmetricRangeQuantizeConfig


class Taps(tf_keras.layers.Layer):
    """Collects the inputs of a kernel at each place of a map, without padding.

    Args:
        height: Height of the kernel.
        width: Width of the kernel.
    """

    def __init__(self, height: int, width: int, **kwargs):
        super().__init__(**kwargs)
        self.height = height
        self.width = width

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns inputs [batch, rows, columns, height * width * channels]."""
        rows = inputs.shape[1] - self.height + 1
        columns = inputs.shape[2] - self.width + 1

        def row(i):
            return tf.concat(
                [
                    inputs[:, i : i + rows, j : j + columns, :]
                    for j in range(self.width)
                ],
                axis=-1,
            )

        # Row by row: XNNPACK joins five tensors at most.
        return tf.concat([row(i) for i in range(self.height)], axis=-1)

    def get_config(self) -> dict:
        """Returns the layer's arguments."""
        return {
            **super().get_config(),
            "height": self.height,
            "width": self.width,
        }


class CombinedKernel(tf_keras.layers.Layer):
    """Makes a matrix for each image: its coefficients times the bases.

    Args:
        rows: Number of rows of the matrix.
        columns: Number of columns of the matrix.
    """

    def __init__(self, rows: int, columns: int, **kwargs):
        super().__init__(**kwargs)
        self.rows = rows
        self.columns = columns

    def build(self, input_shape):
        """Makes the bases, `kernel` [bases, rows * columns]."""
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[-1], self.rows * self.columns)
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns [batch, rows, columns], of coefficients [batch, bases]."""
        flat = tf.matmul(inputs, self.kernel)
        return tf.reshape(flat, (-1, self.rows, self.columns))

    def get_config(self) -> dict:
        """Returns the layer's arguments."""
        return {
            **super().get_config(),
            "rows": self.rows,
            "columns": self.columns,
        }


class Product(tf_keras.layers.Layer):
    """Multiplies each place of each image's map with that image's matrix."""

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Returns the products, [batch, height, width, columns]."""
        maps, matrices = inputs
        _, height, width, channels = maps.shape
        flat = tf.reshape(maps, (-1, height * width, channels))
        return tf.reshape(
            tf.matmul(flat, matrices), (-1, height, width, matrices.shape[-1])
        )


def _parts(
    layer: layers.BasisConv2D, inputs: Sequence, find: Find
) -> keras.KerasTensor:
    """Returns the map that the convolution gives.

    Args:
        layer: The layer of Keras 3.
        inputs: The map and the coefficients.
        find: Gives the layer to call for a part.
    """
    x, alpha = inputs
    name = layer.name
    kernel, *bias = weights_of(layer)
    bases, height, width, channels, filters = kernel.shape
    x = _seen(layer, x, find)
    factors = _factors(kernel)
    combined = CombinedKernel(
        height * width * channels, filters, name=f"{name}.kernel"
    )
    flat = (kernel / factors).reshape(bases, -1)
    own = find(Part(combined, [flat], layer.trainable))(alpha)
    product = Product(name=f"{name}.product")
    y = find(Part(product))([x, own])
    last = tf_keras.layers.DepthwiseConv2D(
        1, use_bias=layer.use_bias, name=name
    )
    weights = [factors.reshape(1, 1, filters, 1), *bias]
    # Without a bias, what it could learn is that of a normalisation behind it.
    trainable = layer.trainable and layer.use_bias
    return find(Part(last, weights, trainable))(y)


def _seen(layer, x, find):
    """Returns the kernel's inputs at each place, by place and then channel."""
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
        x = find(Part(Taps(*kernel, name=f"{name}.taps")))(x)
    if stride > 1:
        # XNNPACK's slices have no strides.
        thin = tf_keras.layers.DepthwiseConv2D(
            1, strides=stride, use_bias=False, name=f"{name}.thin"
        )
        ones = np.ones((1, 1, x.shape[-1], 1), np.float32)
        x = find(Part(thin, [ones], trainable=False))(x)
    return x


def _factors(kernel):
    """Returns how much smaller each output's bases are than the largest's.

    Divided by these, all make use of the one int8 scale that a combined kernel
    has. They are multiples of 1/127, so that they are int8 numbers themselves.
    """
    largest = np.abs(kernel).max(axis=(0, 1, 2, 3))
    shares = largest / max(largest.max(), np.finfo(np.float32).tiny)
    return np.maximum(np.ceil(127 * shares), 1).astype(np.float32) / 127


LAYER = Quantizable(
    keras=layers.BasisConv2D,
    parts=_parts,
    configs={
        CombinedKernel: lambda _: SymmetricRangeQuantizeConfig(),
        Product: quantize_configs.output,
        Taps: quantize_configs.nothing,
    },
    note="becomes several layers, too",
)
