"""Makes small Keras 3 networks int8 models, for tests of several families."""

import pathlib

import keras
import numpy as np

from tflite.quantization import (
    bridge,
    conversion,
    fake_quantization,
    saved_graph,
)


def converted(
    network: keras.Model, pixels: np.ndarray, directory: pathlib.Path
) -> bytes:
    """Returns the int8 model, without a step of fine-tuning."""
    plain = bridge.to_tf_keras(network)
    made = fake_quantization.insert(plain)
    batch = pixels / np.float32(255)
    fake_quantization.initialise_ranges(made, plain, [batch])
    fake_quantization.settle_weight_ranges(made, batch)
    saved_graph.save(made, directory / "saved_model")
    return conversion.convert(directory / "saved_model")
