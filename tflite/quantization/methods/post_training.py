"""Takes the ranges from images, and trains nothing.

TFLite's converter runs the float model over them. It takes any model that can
be called, so that layers do whose training with fake quantization has no form:
attention, Lambda, classes of one's own.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_dynamic.training.trainer import deployed
from tflite.quantization import conversion, saved_graph
from tflite.quantization.methods import method
from tflite.quantization.native import lowering
from tflite.quantization.native.fine_tuning import Batches, Checkpoints
from tflite.quantization.unsupported_layer import UnsupportedLayerError

# Images that the converter runs the model over, one by one.
_IMAGES = 256


def prepare(task: method.Task) -> method.Quantized:
    """Takes a model as it is, and some of the images."""
    return _Float(task)


class _Float(method.Quantized):
    """Holds the float model, and images whose ranges it gets."""

    trains = False

    def __init__(self, task: method.Task):
        self._images = np.concatenate(task.images)[:_IMAGES]
        model = task.model
        if isinstance(model, keras.Model) and hasattr(model, "_nodes_by_depth"):
            model = deployed(model, task.exits)
            model.jit_compile = False
        self._deployed = model

    def deployed(self) -> keras.Model:
        return self._deployed

    def fine_tune(
        self,
        batches: Batches,
        *,
        learning_rate: float,
        steps: int,
        checkpoints: Checkpoints | None = None,
    ) -> Iterator[float]:
        del batches, learning_rate, checkpoints
        if steps:
            raise ValueError(
                "`steps` must be 0 where the method is 'ptq', which trains "
                f"nothing. Received: steps={steps}"
            )
        return iter(())

    def ranges(self) -> Mapping[str, tuple[float, float]]:
        return {}

    def save(self, path: str | os.PathLike) -> None:
        model = _simplified(self._deployed)
        with tempfile.TemporaryDirectory() as directory:
            saved_graph.save(model, directory, self._images.shape[1:])
            converter = tf.lite.TFLiteConverter.from_saved_model(directory)
            converter.representative_dataset = lambda: (
                {"image": image[None]} for image in _whole_range(self._images)
            )
            model = conversion.int8_of(converter)
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, conversion.INT8_FILE), "wb") as file:
            file.write(model)


def _simplified(model):
    """Returns the model of one operator a layer, if it has such a form."""
    try:
        return lowering.lowered(model)
    except (UnsupportedLayerError, AttributeError):
        return model


def _whole_range(images):
    """Returns the images, of which one has a number 0 and one that is 1.

    The range of the input is then [0, 1], and the int8 input pixel - 128.
    """
    images = images.copy()
    images[0, 0, 0, 0], images[0, -1, -1, 0] = 0.0, 1.0
    return images
