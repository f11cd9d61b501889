"""Layers of keras_dynamic that the legacy Keras lacks, made for it again.

Same arguments and weights; `tflite.quantize` quantizes their outputs.
"""

import tensorflow as tf
import tf_keras


class Multiple(tf_keras.layers.Layer):
    """`keras_dynamic.layers.Multiple`."""

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
        """The multiple of `inputs`."""
        if not self.learned:
            return inputs * self.factor
        return inputs * (self.factor * tf.exp(self.log_ratio))

    def get_config(self) -> dict:
        """The layer's arguments."""
        return {
            **super().get_config(),
            "factor": self.factor,
            "learned": self.learned,
        }


class Bias(tf_keras.layers.Layer):
    """`keras_dynamic.layers.Bias`."""

    def build(self, input_shape):
        """Makes the numbers."""
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """`inputs` with the numbers added."""
        return inputs + self.bias


class Gate(tf_keras.layers.Layer):
    """`keras_dynamic.layers.Gate`.

    Quantized it gives its input. The int8 numbers of the range [0, 1] hold
    nothing else, so that all that runs is the layer before it.
    """

    def __init__(self, quantized: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.quantized = quantized

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The clamped score."""
        return inputs if self.quantized else tf.clip_by_value(inputs, 0.0, 1.0)

    def get_config(self) -> dict:
        """The layer's argument."""
        return {**super().get_config(), "quantized": self.quantized}


class Progress(tf_keras.layers.Layer):
    """The second output of `keras_dynamic.layers.Progress`, at its end: 1."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """A scalar."""
        del inputs
        return tf.ones(())
