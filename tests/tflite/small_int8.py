"""A small Keras 3 network as an int8 model, for tests of several families."""

import pathlib

import keras
import numpy as np

from tflite import bridge, convert, quantize


def converted(
    network: keras.Model, pixels: np.ndarray, directory: pathlib.Path
) -> bytes:
    """The int8 model, without a step of fine-tuning."""
    plain = bridge.to_tf_keras(network)
    made = quantize.quantize(plain)
    batch = pixels / np.float32(255)
    quantize.initialise_ranges(made, plain, [batch])
    quantize.settle_weight_ranges(made, batch)
    quantize.save(made, directory / "saved_model")
    return convert.convert(directory / "saved_model")
