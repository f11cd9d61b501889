"""Multiplies the gradient alone by a factor."""

import math

import keras


@keras.saving.register_keras_serializable(package="keras_dynamic")
class GradientScale(keras.layers.Layer):
    """Passes its input on unchanged, and the gradient back times a factor.

    Outside of training it does nothing at all, and conversion leaves it out.

    Args:
        factor: Number that the gradient is multiplied by; 0 detaches the input
            from the layers that follow.

    Input and output: any shape and float dtype; equal to the bit.

    Raises:
        ValueError: If the factor is negative or not finite.
    """

    def __init__(self, factor: float, **kwargs):
        # Whatever the precision of training: the input keeps its own.
        super().__init__(autocast=False, **kwargs)
        if not (math.isfinite(factor) and factor >= 0):
            raise ValueError(
                "`factor` must be a finite number that is not negative. "
                f"Received: factor={factor!r}"
            )
        self.factor = float(factor)

    def call(self, inputs, training=None):
        """Returns `inputs`, with another gradient in training."""
        if not training:
            return inputs
        detached = keras.ops.stop_gradient(inputs)
        if self.factor == 0:
            return detached
        # The difference is exactly zero; its gradient is not.
        return detached + self.factor * (inputs - detached)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the input."""
        return input_shape

    def get_config(self):
        """Returns the layer's argument."""
        return {**super().get_config(), "factor": self.factor}
