"""Multiplies a tensor by one number."""

import math

import keras


@keras.saving.register_keras_serializable(package="keras_dynamic")
class Multiple(keras.layers.Layer):
    """Multiplies its input by one positive number, fixed or learned.

    A learned one is `factor * exp(w)`, so it stays positive. The scalar w
    starts near 0, drawn from N(0, 0.01).

    Args:
        factor: The number, or the one that a learned number starts near.
        learned: Whether w is there and is trained.

    Input and output: any shape, in the layer's dtype.

    Raises:
        ValueError: If the factor is not a finite positive number.
    """

    def __init__(self, factor: float, learned: bool = False, **kwargs):
        super().__init__(**kwargs)
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(
                "`factor` must be a finite positive number. "
                f"Received: factor={factor!r}"
            )
        self.factor = float(factor)
        self.learned = learned

    def build(self, input_shape):
        """Makes w, if there is one."""
        if self.learned:
            self.log_ratio = self.add_weight(
                name="log_ratio",
                shape=(),
                initializer=keras.initializers.RandomNormal(stddev=0.01),
            )

    def call(self, inputs):
        """Returns the multiple of `inputs`."""
        if not self.learned:
            return inputs * self.factor
        return inputs * (self.factor * keras.ops.exp(self.log_ratio))

    def compute_output_shape(self, input_shape):
        """Returns the shape of the input."""
        return input_shape

    def get_config(self):
        """Returns the layer's arguments."""
        return {
            **super().get_config(),
            "factor": self.factor,
            "learned": self.learned,
        }
