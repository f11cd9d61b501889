"""Lets the range behind a clamp do what the clamp does."""

from collections.abc import Callable
from typing import Any

import keras


class ClampAsRange(keras.layers.Layer):
    """Calls a layer that clamps in training, and else something less.

    The int8 numbers of the range behind it hold nothing outside of it, so that
    a device need not run what the layer has more.

    Args:
        layer: The layer; it stays the owner of its weights.
        otherwise: What is called out of training.

    Input and output: any shape, float32.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        otherwise: Callable[[Any], Any],
        **kwargs,
    ):
        super().__init__(name=layer.name, **kwargs)
        self.layer = layer
        self._otherwise = otherwise

    def call(self, inputs, training=None):
        """Returns what is clamped in training, and else what will be."""
        if training:
            return self.layer(inputs, training=True)
        return self._otherwise(inputs)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the input."""
        return input_shape
