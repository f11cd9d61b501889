"""Makes tfmot's configurations that several layers have in common."""

import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (  # noqa: E501
    default_8bit_quantize_configs as configs,
)


def output(
    layer: tf_keras.layers.Layer,
) -> configs.Default8BitOutputQuantizeConfig:
    """Quantizes the output, with a range that is learned, and nothing else."""
    del layer
    return configs.Default8BitOutputQuantizeConfig()


def nothing(layer: tf_keras.layers.Layer) -> configs.NoOpQuantizeConfig:
    """Quantizes nothing: the output keeps the range of the input."""
    del layer
    return configs.NoOpQuantizeConfig()
