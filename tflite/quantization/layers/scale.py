"""Quantizes the output of `Multiple` of `keras_dynamic.layers`."""

import tensorflow as tf
import tf_keras

from keras_dynamic import layers
from tflite.quantization import quantize_configs
from tflite.quantization.quantizable import Quantizable


class Multiple(tf_keras.layers.Layer):
    """Multiplies by one number, as `keras_dynamic.layers.Multiple` does."""

    def __init__(self, factor: float, learned: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.learned = learned

    def build(self, input_shape):
        """Makes the learned scalar, if there is one."""
        if self.learned:
            self.log_ratio = self.add_weight(name="log_ratio", shape=())
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the multiple of `inputs`."""
        if not self.learned:
            return inputs * self.factor
        return inputs * (self.factor * tf.exp(self.log_ratio))

    def get_config(self) -> dict:
        """Returns the layer's arguments."""
        return {
            **super().get_config(),
            "factor": self.factor,
            "learned": self.learned,
        }


LAYER = Quantizable(
    keras=layers.Multiple,
    legacy=Multiple,
    arguments=("factor", "learned"),
    configs={Multiple: quantize_configs.output},
)
