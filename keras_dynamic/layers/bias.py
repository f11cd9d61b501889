"""Adds a learned number to each channel."""

import keras


@keras.saving.register_keras_serializable(package="keras_dynamic")
class Bias(keras.layers.Layer):
    """Adds one learned number, at first 0, to each channel of the last axis.

    Input and output: [..., channels], in the layer's dtype.
    """

    def build(self, input_shape):
        """Makes the numbers."""
        self.bias = self.add_weight(
            name="bias", shape=(input_shape[-1],), initializer="zeros"
        )

    def call(self, inputs):
        """Returns `inputs` with the numbers added."""
        return inputs + self.bias

    def compute_output_shape(self, input_shape):
        """Returns the shape of the input."""
        return input_shape
