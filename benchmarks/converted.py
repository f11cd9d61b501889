"""Makes networks with random weights int8 models, whose time is of interest."""

import pathlib
import tempfile

import keras
import numpy as np

from tflite.quantization import (
    bridge,
    conversion,
    fake_quantization,
    saved_graph,
)


def converted(network: keras.Model, images: np.ndarray) -> bytes:
    """Returns the int8 model, with the ranges that it has on some images.

    Args:
        network: A model of Keras 3.
        images: float32 [N, H, W, C] in [0, 1].
    """
    plain = bridge.to_tf_keras(network)
    made = fake_quantization.insert(plain)
    fake_quantization.initialise_ranges(made, plain, [images])
    fake_quantization.settle_weight_ranges(made, images)
    with tempfile.TemporaryDirectory() as directory:
        saved = pathlib.Path(directory) / "saved_model"
        saved_graph.save(made, saved)
        return conversion.convert(saved)
