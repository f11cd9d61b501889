"""Makes `Gate` of `keras_dynamic.layers` the range of the layer before it."""

import tensorflow as tf
import tf_keras

from keras_dynamic import layers
from tflite.quantization.fixed_range import FixedRangeQuantizeConfig
from tflite.quantization.quantizable import (
    Part,
    Quantizable,
)
from tflite.quantization.unsupported_layer import UnsupportedLayerError

# Layers that may give scores: their own output is then not quantized.
_SCORING = (
    tf_keras.layers.Add,
    tf_keras.layers.Conv2D,
    tf_keras.layers.Dense,
)


class Gate(tf_keras.layers.Layer):
    """Clamps a score to [0, 1], as `keras_dynamic.layers.Gate` does.

    Quantized it gives its input. The int8 numbers of the range [0, 1] hold
    nothing else, so that all that runs is the layer before it.
    """

    def __init__(self, quantized: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.quantized = quantized

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the clamped score, or, quantized, the inputs."""
        return inputs if self.quantized else tf.clip_by_value(inputs, 0.0, 1.0)

    def get_config(self) -> dict:
        """Returns the layer's argument."""
        return {**super().get_config(), "quantized": self.quantized}


def gives_scores(layer: tf_keras.layers.Layer) -> bool:
    """Tells whether gates, and nothing else, read the output of a layer."""
    readers = [node.outbound_layer for node in layer._outbound_nodes]
    return bool(readers) and all(isinstance(each, Gate) for each in readers)


def _parts(layer, inputs, find):
    """Calls the gate without its weights, which count the steps of training."""
    made = Gate(name=layer.name)
    return find(Part(made, trainable=layer.trainable))(inputs)


def _config(gate):
    """Refuses a gate that cannot be the range of the layer before it."""
    before = gate.inbound_nodes[0].inbound_layers
    if not isinstance(before, _SCORING) or not gives_scores(before):
        raise UnsupportedLayerError(
            "`model` must have a Conv2D, Dense or Add before each Gate, which "
            f"nothing else reads. Received: layer {before.name!r} of class "
            f"{type(before).__name__} before {gate.name!r}"
        )
    return FixedRangeQuantizeConfig(1.0)


LAYER = Quantizable(
    keras=layers.Gate,
    parts=_parts,
    configs={Gate: _config},
    quantized={Gate: lambda gate: Gate(quantized=True, name=gate.name)},
    note=(
        "behind a `Conv2D`, `Score`, `Dense` or `Add` that nothing but gates "
        "reads: it is the range of their int8 output"
    ),
)
