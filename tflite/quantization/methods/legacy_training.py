"""Fine-tunes with tfmot's fake quantization, by way of the legacy Keras."""

import dataclasses
import os
from collections.abc import Collection, Iterator, Mapping

import keras
import tf_keras

from keras_dynamic import normal_form
from tflite.quantization import (
    bridge,
    fake_quantization,
    ranges,
    saved_graph,
)
from tflite.quantization.methods import method
from tflite.quantization.native.fine_tuning import Batches, Checkpoints


def prepare(task: method.Task) -> method.Quantized:
    """Makes the model again in tf_keras, with fake quantization in it.

    Raises:
        normal_form.NoNormalFormError, UnsupportedLayerError: If a layer has no
            counterpart that tfmot can quantize.
        ValueError: If there are no images.
    """
    _refuse_float(task.keep_float)
    task = dataclasses.replace(task, model=_readable(task.model))
    plain = bridge.to_tf_keras(task.model)
    quantized = fake_quantization.insert(plain)
    fake_quantization.initialise_ranges(quantized, plain, task.images)
    fake_quantization.settle_weight_ranges(quantized, task.images[0])
    return _Legacy(task, quantized)


def check(model: keras.Model, keep_float: Collection[str]) -> None:
    """Raises ValueError if a layer has no counterpart in the legacy Keras."""
    _refuse_float(keep_float)
    bridge.to_tf_keras(_readable(model))


def _refuse_float(keep_float: Collection[str]) -> None:
    if keep_float:
        raise ValueError(
            "`keep_float` must be empty where the method is 'tfmot'; 'keras' "
            f"and 'ptq' leave layers float. Received: {list(keep_float)}"
        )


def _readable(model: keras.Model) -> keras.Model:
    """Returns a model as the bridge reads it."""
    # As it stands, where that is right: what was quantized stays the same.
    return model if bridge.takes(model) else normal_form.of(model)


class _Legacy(method.Quantized):
    """Holds a tf_keras model that tfmot quantized."""

    def __init__(self, task: method.Task, quantized: tf_keras.Model):
        self._task = task
        self._quantized = quantized
        self._deployed = tf_keras.Model(
            quantized.inputs, quantized.outputs[: task.exits]
        )

    def deployed(self) -> tf_keras.Model:
        return self._deployed

    def fine_tune(
        self,
        batches: Batches,
        *,
        learning_rate: float,
        steps: int,
        checkpoints: Checkpoints | None = None,
    ) -> Iterator[float]:
        del checkpoints  # A killed one begins again.
        return fake_quantization.fine_tune(
            fake_quantization.with_gradients(self._quantized, self._task.model),
            batches(0),
            self._task.loss,
            self._task.objective.taught,
            learning_rate=learning_rate,
            steps=steps,
        )

    def ranges(self) -> Mapping[str, tuple[float, float]]:
        return {
            name: (float(each.low), float(each.high))
            for name, each in ranges.of(self._quantized).items()
        }

    def save(self, path: str | os.PathLike) -> None:
        saved_graph.save(self._deployed, path)
