"""`Activation` of Keras: ReLU, and the hard sigmoid.

The hard sigmoid is relu6(x + 3) / 6, as in MobileNetV3 (Howard et al. 2019,
section 5.2) and in Keras 3. The legacy Keras's own has another slope.

TFLite's operator for x times the hard sigmoid stays outside of XNNPACK in
int8, and one for the hard sigmoid alone there is none. With ranges for its
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
    """relu6(x + 3) / 6."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.activation = tf_keras.activations.relu

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Numbers in [0, 1], of the inputs' shape."""
        clipped = self.activation(inputs + _SHIFT, max_value=_CLIP)
        # Not a division, which the converter leaves in float.
        return clipped * (1.0 / _CLIP)


class HardSigmoidQuantizeConfig(tfmot.quantization.keras.QuantizeConfig):
    """Quantizes what a `HardSigmoid` clips, and what it gives."""

    def get_weights_and_quantizers(self, layer) -> list:
        """It has no weights."""
        return []

    def get_activations_and_quantizers(self, layer) -> list:
        """The clipped sum."""
        return [(layer.activation, FixedRange(_CLIP))]

    def set_quantize_weights(self, layer, quantize_weights) -> None:
        """There are none."""
        del layer, quantize_weights

    def set_quantize_activations(self, layer, quantize_activations) -> None:
        """Puts the quantized activation into the layer."""
        [layer.activation] = quantize_activations

    def get_output_quantizers(self, layer) -> list:
        """The output."""
        return [FixedRange(1.0)]

    def get_config(self) -> dict:
        """No arguments."""
        return {}


def _parts(layer, inputs, find):
    """Calls the activation, of the same name in both but for one."""
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
