"""Quantizes `Dense` of Keras, which may give the scores of gates."""

import keras
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (  # noqa: E501
    default_8bit_quantize_registry as registry,
)

from tflite.quantization.layers.gate import gives_scores
from tflite.quantization.quantizable import Quantizable


def _config(layer):
    """Leaves the output of scores alone: its range is that of the gates."""
    if gives_scores(layer):
        return registry.Default8BitQuantizeConfig(["kernel"], [], False)
    return None


LAYER = Quantizable(
    keras=keras.layers.Dense,
    legacy=tf_keras.layers.Dense,
    arguments=(
        "units",
        "activation",
        "use_bias",
    ),
    configs={tf_keras.layers.Dense: _config},
)
