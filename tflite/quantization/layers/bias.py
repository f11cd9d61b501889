"""Quantizes the output of `Bias` of `keras_dynamic.layers`."""

import tensorflow as tf
import tf_keras

from keras_dynamic import layers
from tflite.quantization import quantize_configs
from tflite.quantization.quantizable import Quantizable


class Bias(tf_keras.layers.Layer):
    """Adds a number to each channel, as `keras_dynamic.layers.Bias` does."""

    def build(self, input_shape):
        """Makes the numbers, one per channel."""
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `inputs` with the numbers added."""
        return inputs + self.bias


LAYER = Quantizable(
    keras=layers.Bias,
    legacy=Bias,
    configs={Bias: quantize_configs.output},
)
