"""`Bias` of `keras_dynamic.layers`, of which the output is quantized."""

import tensorflow as tf
import tf_keras

from keras_dynamic import layers
from tflite.quantization import quantize_configs
from tflite.quantization.quantizable import Quantizable


class Bias(tf_keras.layers.Layer):
    """`keras_dynamic.layers.Bias`."""

    def build(self, input_shape):
        """Makes the numbers."""
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """`inputs` with the numbers added."""
        return inputs + self.bias


LAYER = Quantizable(
    keras=layers.Bias,
    legacy=Bias,
    configs={Bias: quantize_configs.output},
)
