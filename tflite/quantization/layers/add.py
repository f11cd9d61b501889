"""Quantizes `Add` of Keras, which may give the scores of gates."""

import keras
import tf_keras

from tflite.quantization import quantize_configs
from tflite.quantization.layers.gate import gives_scores
from tflite.quantization.quantizable import Quantizable


def _config(layer):
    """Leaves the output of scores alone: its range is that of the gates."""
    if gives_scores(layer):
        return quantize_configs.nothing(layer)
    return None


LAYER = Quantizable(
    keras=keras.layers.Add,
    legacy=tf_keras.layers.Add,
    configs={tf_keras.layers.Add: _config},
)
