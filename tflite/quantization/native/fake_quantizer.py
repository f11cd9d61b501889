"""Rounds a tensor to the int8 numbers of a range, as TFLite will."""

import keras

# Share of its past that a range keeps in a step of training.
_DECAY = 0.99

# Width of a range at least: one of nothing has no scale, and XNNPACK takes no
# sums of scales that are far apart.
_LEAST = 2.0**-8


class FakeQuantizer(keras.layers.Layer):
    """Rounds its input to the 256 numbers of a range that holds 0.

    The gradient passes inside of the range only. In training the range follows
    the least and the greatest number of each batch as a moving average, before
    it is used.

    Args:
        fixed: The range, if nothing is to change it; None for one that data
            sets.

    Input and output: any shape, float32.
    """

    def __init__(self, fixed: tuple[float, float] | None = None, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.fixed = fixed

    def build(self, input_shape):
        """Makes the ends of the range, which are no trainable weights."""
        del input_shape
        low, high = self.fixed or (0.0, _LEAST)
        self.low, self.high = (
            self.add_weight(
                name=name,
                shape=(),
                initializer=keras.initializers.Constant(value),
                trainable=False,
            )
            for name, value in (("low", low), ("high", high))
        )

    def set(self, low: float, high: float) -> None:
        """Sets the range to the nearest valid one that holds both numbers.

        One that is fixed stays.
        """
        if self.fixed is None:
            low, high = min(low, 0.0), max(high, 0.0)
            self.low.assign(low)
            self.high.assign(max(high, low + _LEAST))

    def call(self, inputs, training=None):
        """Returns the rounded numbers."""
        if training and self.fixed is None:
            self._follow(keras.ops.stop_gradient(inputs))
        return keras.quantizers.fake_quant_with_min_max_vars(
            inputs,
            keras.ops.stop_gradient(self.low.value),
            keras.ops.stop_gradient(self.high.value),
            num_bits=8,
        )

    def _follow(self, inputs):
        """Moves the range towards that of a batch."""
        low = _DECAY * self.low + (1 - _DECAY) * keras.ops.minimum(
            keras.ops.min(inputs), 0.0
        )
        high = _DECAY * self.high + (1 - _DECAY) * keras.ops.maximum(
            keras.ops.max(inputs), 0.0
        )
        self.low.assign(low)
        self.high.assign(keras.ops.maximum(high, low + _LEAST))

    def compute_output_shape(self, input_shape):
        """Returns the shape of the input."""
        return input_shape

    def get_config(self):
        """Returns the layer's argument."""
        return {**super().get_config(), "fixed": self.fixed}


class SameRange(keras.layers.Layer):
    """Rounds its input to the numbers of a range that is elsewhere, too.

    Args:
        quantizer: The range; its training moves it, and this does not.

    Input and output: any shape, float32.
    """

    def __init__(self, quantizer: FakeQuantizer, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.quantizer = quantizer

    def call(self, inputs):
        """Returns the rounded numbers."""
        return self.quantizer(inputs, training=False)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the input."""
        return input_shape
