"""Takes the ranges from images, and trains nothing.

TFLite's converter runs the float model over them. It takes any model that can
be called, so that layers do whose training with fake quantization has no form:
attention, Lambda, classes of one's own.
"""

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_dynamic import normal_form
from keras_dynamic.graph import functional
from keras_dynamic.training.trainer import deployed
from tflite.quantization import conversion, saved_graph
from tflite.quantization.methods import method
from tflite.quantization.native import lowering
from tflite.quantization.native.fine_tuning import Batches, Checkpoints

# Images that the converter runs the model over, one by one.
_IMAGES = 256


def prepare(task: method.Task) -> method.Quantized:
    """Takes a model, in its normal form if it has one, and some of the images.

    Raises:
        ValueError: If an exit gives probabilities.
    """
    return _Float(task)


def check(model: keras.Model, keep_float: Collection[str]) -> None:
    """Refuses nothing: the converter takes any model that can be called."""
    del model, keep_float


class _Float(method.Quantized):
    """Holds the float model, and images whose ranges it gets."""

    trains = False

    def __init__(self, task: method.Task):
        self._images = np.concatenate(task.images)[:_IMAGES]
        self._deployed = _exits(task)
        _check_logits(self._deployed, self._images[:8])

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
        with tempfile.TemporaryDirectory() as directory:
            saved_graph.save(self._deployed, directory, self._images.shape[1:])
            converter = tf.lite.TFLiteConverter.from_saved_model(directory)
            converter.representative_dataset = lambda: (
                {"image": image[None]} for image in _whole_range(self._images)
            )
            model = conversion.int8_of(converter)
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, conversion.INT8_FILE), "wb") as file:
            file.write(model)


def _exits(task):
    """Returns the exits alone, one operator a layer where that has a form."""
    model = task.model
    if functional.graph_of(model) is None:
        return model
    try:
        model = lowering.lowered(normal_form.of(model, keep=task.keep_float))
    except ValueError:
        # The converter may know more.
        model = functional.graph_of(model)
    model = deployed(model, task.exits)
    model.jit_compile = False
    return model


def _check_logits(model, images):
    """Refuses what policies would take for logits."""
    for exit, said in enumerate(tf.nest.flatten(model(images))):
        said = np.asarray(said)
        if said.min() >= 0 and np.allclose(said.sum(axis=-1), 1, atol=1e-3):
            raise ValueError(
                "`model` must give logits, from which policies take the "
                "softmax themselves. Received: exit "
                f"{exit} with probabilities that sum to 1"
            )


def _whole_range(images):
    """Returns the images, of which one has a number 0 and one that is 1.

    The range of the input is then [0, 1], and the int8 input pixel - 128.
    """
    images = images.copy()
    images[0, 0, 0, 0], images[0, -1, -1, 0] = 0.0, 1.0
    return images
