"""Leaves out `GradientScale` of `keras_dynamic.layers`, meant for training."""

from keras_dynamic import layers
from tflite.quantization.quantizable import Quantizable


def _nothing(layer, inputs, find):
    """Returns the inputs."""
    del layer, find
    return inputs


LAYER = Quantizable(
    keras=layers.GradientScale, parts=_nothing, note="leaves nothing"
)
