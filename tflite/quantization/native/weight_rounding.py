"""Rounds weights to the int8 numbers that TFLite will store.

Each function takes a weight and gives it rounded, of the same shape. Their
ranges are those of the weights themselves.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras

Rounding = Callable[[Any], Any]

# The range of a channel of zeros.
_LEAST = 1e-8


def by_channel(kernel: Any, axis: int = -1) -> Any:
    """Rounds with a scale for each channel along an axis, symmetrically.

    A normalisation behind the layer multiplies each channel, and so its scale,
    by a factor; the int8 numbers stay, whether it is folded or not.
    """
    others = [
        i for i in range(len(kernel.shape)) if i != axis % len(kernel.shape)
    ]
    return _symmetric(kernel, others, axis)


def by_depthwise_channel(kernel: Any) -> Any:
    """Rounds a depthwise kernel [h, w, channels, multiplier] by channel."""
    shape = kernel.shape
    flat = keras.ops.reshape(kernel, (*shape[:2], shape[2] * shape[3]))
    return keras.ops.reshape(by_channel(flat), shape)


def by_tensor(kernel: Any) -> Any:
    """Rounds with one scale for all numbers, symmetrically."""
    return _symmetric(kernel, None, None)


def as_activation(constant: Any) -> Any:
    """Rounds with one scale and a zero point, as activations are."""
    return keras.quantizers.fake_quant_with_min_max_vars(
        constant,
        keras.ops.minimum(keras.ops.min(constant), 0.0),
        keras.ops.maximum(keras.ops.max(constant), _LEAST),
        num_bits=8,
    )


def _symmetric(kernel, reduced, axis):
    limit = keras.ops.max(keras.ops.abs(kernel), axis=reduced)
    limit = keras.ops.maximum(limit, _LEAST)
    return keras.quantizers.fake_quant_with_min_max_vars(
        kernel, -limit, limit, num_bits=8, narrow_range=True, axis=axis
    )


class RoundedWeights(keras.layers.Layer):
    """Calls a layer with some of its weights rounded.

    The gradient of a rounded weight is that of the weight: nothing lies
    outside of the range.

    Args:
        layer: The layer, built; it stays the owner of its weights.
        roundings: How weights are rounded, by their names.

    Input and output: those of the layer.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        roundings: Mapping[str, Rounding],
        **kwargs,
    ):
        super().__init__(name=layer.name, dtype="float32", **kwargs)
        self.layer = layer
        self._roundings = [
            (variable, roundings.get(variable.name))
            for variable in layer.variables
        ]

    def build(self, input_shape):
        """Makes nothing: the layer has its weights."""

    def call(self, inputs, training=None):
        """Returns what the layer gives with rounded weights."""
        # All of them: the scope hides any values that one around it set.
        values = [
            (
                variable,
                _used(
                    keras.ops.convert_to_tensor(variable), rounding, training
                ),
            )
            for variable, rounding in self._roundings
        ]
        with keras.StatelessScope(state_mapping=values):
            return self.layer(inputs)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the layer's output."""
        return self.layer.compute_output_shape(input_shape)


def _used(value, rounding, training):
    if rounding is None:
        return value
    if not training:
        # The converter knows the plain operation.
        return rounding(value)
    return _straight_through(rounding)(value)


def _straight_through(rounding):
    @keras.ops.custom_gradient
    def rounded(value):
        def gradient(*upstream):
            [given] = upstream
            return given

        return rounding(value), gradient

    return rounded
