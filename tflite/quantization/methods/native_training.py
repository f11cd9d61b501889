"""Fine-tunes with fake quantization in Keras 3 alone."""

import os
from collections.abc import Collection, Iterator, Mapping

import keras

from keras_dynamic import normal_form
from keras_dynamic.training.trainer import deployed
from tflite.quantization import saved_graph
from tflite.quantization.methods import method
from tflite.quantization.native import fine_tuning, insertion, lowering
from tflite.quantization.native.fine_tuning import Batches, Checkpoints


def prepare(task: method.Task) -> method.Quantized:
    """Puts fake quantization into a model, its ranges those of images.

    Raises:
        ValueError: If the Keras backend is not TensorFlow, or there are no
            images.
        normal_form.NoNormalFormError, UnsupportedLayerError: If a layer has no
            form in int8.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Quantization-aware training needs KERAS_BACKEND=tensorflow. "
            f"Received: {keras.backend.backend()!r}"
        )
    quantized = insertion.insert(
        normal_form.of(task.model, keep=task.keep_float), task.exits
    )
    insertion.initialise_ranges(quantized, task.images)
    return _Native(task, quantized)


def check(model: keras.Model, keep_float: Collection[str]) -> None:
    """Raises ValueError if a layer has no int8 form, and shall have one."""
    lowering.lowered(normal_form.of(model, keep=keep_float))


class _Native(method.Quantized):
    """Holds a Keras 3 model with fake quantization."""

    def __init__(self, task: method.Task, quantized: insertion.Quantized):
        self._task = task
        self._quantized = quantized
        self._deployed = deployed(quantized.model, task.exits)
        self._deployed.jit_compile = False

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
        trainer = fine_tuning.trainer_of(
            self._quantized.model,
            self._task.exits,
            self._task.objective,
            self._task.loss,
            fine_tuning.sgd(learning_rate, steps),
        )
        return fine_tuning.fine_tune(trainer, batches, steps, checkpoints)

    def ranges(self) -> Mapping[str, tuple[float, float]]:
        return {
            name: (float(each.low), float(each.high))
            for name, each in self._quantized.ranges.items()
            if each.fixed is None
        }

    def save(self, path: str | os.PathLike) -> None:
        saved_graph.save(self._deployed, path)
