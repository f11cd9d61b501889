"""Makes several layers of `BasisCoefficients` of `keras_dynamic.layers`.

All vectors are one tensor, of which each is a slice.
"""

import keras
import tensorflow as tf
import tf_keras

from keras_dynamic import layers
from tflite.quantization import quantize_configs
from tflite.quantization.fixed_range import FixedRangeQuantizeConfig
from tflite.quantization.layers.scale import Multiple
from tflite.quantization.quantizable import Find, Part, Quantizable

# The one range that TFLite's softmax and sigmoid have in int8.
_LARGEST = 255 / 256


class Coefficients(tf_keras.layers.Layer):
    """Computes coefficients from scores that the temperature has divided.

    It does what `keras_dynamic.layers.BasisCoefficients` does outside of
    training, where no basis is left out; all vectors are in one tensor.

    Args:
        vectors: Number of vectors of coefficients.
        activation: "softmax" or "sigmoid".
    """

    def __init__(self, vectors: int, activation: str, **kwargs):
        super().__init__(**kwargs)
        self.vectors = vectors
        self.activation = activation

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns numbers in [0, 1], of the shape of the scores."""
        if self.activation == "sigmoid":
            return tf.sigmoid(inputs)
        bases = inputs.shape[-1] // self.vectors
        scores = tf.reshape(inputs, (-1, self.vectors, bases))
        return tf.reshape(tf.nn.softmax(scores), (-1, inputs.shape[-1]))

    def get_config(self) -> dict:
        """Returns the layer's arguments."""
        return {
            **super().get_config(),
            "vectors": self.vectors,
            "activation": self.activation,
        }


class Slice(tf_keras.layers.Layer):
    """Cuts out each image's numbers from `start` to before `stop`."""

    def __init__(self, start: int, stop: int, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.stop = stop

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the numbers, [batch, stop - start]."""
        # Not tf.slice, whose size of -1 XNNPACK does not take.
        return inputs[:, self.start : self.stop]

    def get_config(self) -> dict:
        """Returns the layer's arguments."""
        return {
            **super().get_config(),
            "start": self.start,
            "stop": self.stop,
        }


def _parts(
    layer: layers.BasisCoefficients, scores: keras.KerasTensor, find: Find
) -> list:
    """Returns the coefficients, as outside of training.

    Args:
        layer: The layer of Keras 3.
        scores: [batch, vectors * bases].
        find: Gives the layer to call for a part.

    Returns:
        As many tensors [batch, bases] as there are vectors.
    """
    name, bases = layer.name, layer.bases
    if layer.temperature != 1:
        factor = Multiple(1 / layer.temperature, name=f"{name}.temperature")
        scores = find(Part(factor))(scores)
    every = Coefficients(layer.vectors, layer.activation, name=name)
    found = find(Part(every))(scores)
    if layer.vectors == 1:
        return [found]
    return [
        find(Part(Slice(i * bases, (i + 1) * bases, name=f"{name}.{i}")))(found)
        for i in range(layer.vectors)
    ]


LAYER = Quantizable(
    keras=layers.BasisCoefficients,
    parts=_parts,
    configs={
        Coefficients: lambda _: FixedRangeQuantizeConfig(_LARGEST),
        Slice: quantize_configs.nothing,
    },
    note="becomes several layers ([BasisNet](models.md#on-the-device))",
)
