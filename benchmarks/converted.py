"""A network with random weights as an int8 model, whose time is of interest."""

import pathlib
import tempfile

import keras
import numpy as np

from tflite import bridge, convert, quantize


def converted(network: keras.Model, images: np.ndarray) -> bytes:
    """The int8 model, with the ranges that it has on some images.

    Args:
        network: A model of Keras 3.
        images: float32 [N, H, W, C] in [0, 1].
    """
    plain = bridge.to_tf_keras(network)
    made = quantize.quantize(plain)
    quantize.initialise_ranges(made, plain, [images])
    quantize.settle_weight_ranges(made, images)
    with tempfile.TemporaryDirectory() as directory:
        saved = pathlib.Path(directory) / "saved_model"
        quantize.save(made, saved)
        return convert.convert(saved)
