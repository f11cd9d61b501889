"""Quantizes `Activation` of Keras: ReLU, and the hard sigmoid.

The hard sigmoid is relu6(x + 3) / 6, as in MobileNetV3 (Howard et al. 2019,
section 5.2) and in Keras 3. The legacy Keras's own has another slope.

TFLite's operator for x times the hard sigmoid stays outside of XNNPACK in
int8, and there is none for the hard sigmoid alone. With ranges for its
inner values it becomes a sum with ReLU6 and a product, which XNNPACK takes.
"""

import keras
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from tflite.quantization.fixed_range import FixedRange
from tflite.quantization.quantizable import Part, Quantizable

_CLIP, _SHIFT = 6.0, 3.0


class HardSigmoid(tf_keras.layers.Layer):
    """Computes relu6(x + 3) / 6."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.activation = tf_keras.activations.relu

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns numbers in [0, 1], of the inputs' shape."""
        clipped = self.activation(inputs + _SHIFT, max_value=_CLIP)
        # Not a division, which the converter leaves in float.
        return clipped * (1.0 / _CLIP)


class HardSigmoidQuantizeConfig(tfmot.quantization.keras.QuantizeConfig):
    """Quantizes the clipped sum of a `HardSigmoid`, and its output."""

    def get_weights_and_quantizers(self, layer) -> list:
        """Returns no weights, as the layer has none."""
        return []

    def get_activations_and_quantizers(self, layer) -> list:
        """Returns the activation that clips the sum, and its quantizer."""
        return [(layer.activation, FixedRange(_CLIP))]

    def set_quantize_weights(self, layer, quantize_weights) -> None:
        """Sets nothing, as the layer has no weights."""
        del layer, quantize_weights

    def set_quantize_activations(self, layer, quantize_activations) -> None:
        """Puts the quantized activation into the layer."""
        [layer.activation] = quantize_activations

    def get_output_quantizers(self, layer) -> list:
        """Returns the output's quantizer, of the range [0, 1]."""
        return [FixedRange(1.0)]

    def get_config(self) -> dict:
        """Returns no arguments."""
        return {}


def _parts(layer, inputs, find):
    """Calls the legacy activation; only the hard sigmoid has another class."""
    activation = layer.get_config()["activation"]
    if activation == "hard_sigmoid":
        made = HardSigmoid(name=layer.name)
    else:
        made = tf_keras.layers.Activation(activation, name=layer.name)
    return find(Part(made, trainable=layer.trainable))(inputs)


LAYER = Quantizable(
    keras=keras.layers.Activation,
    arguments=("activation",),
    parts=_parts,
    configs={HardSigmoid: lambda _: HardSigmoidQuantizeConfig()},
    note='"relu", "hard_sigmoid"',
)
