"""Loads the trained float model, and runs models over a split."""

import pathlib
from collections.abc import Sequence

import keras
import ml_collections
from absl import logging

from keras_dynamic.weights.loading import trained_model
from pipeline.data import dataset
from pipeline.results.predictions import Predictions
from pipeline.training import network, passes


def load(
    path: pathlib.Path, config: ml_collections.ConfigDict | None = None
) -> keras.Model:
    """Loads the trained float model.

    Args:
        path: `Layout.float_model`.
        config: The configuration that it was trained with, which tells where
            classes of a user's are; None if there are none.

    Raises:
        ValueError: If it is missing or damaged.
    """
    classes = network.custom_classes(config) if config else {}
    model = trained_model("float_model", path, classes)
    # Compiling hundreds of small layers takes XLA minutes and gains nothing
    # on a CPU. JAX has no other way.
    model.jit_compile = keras.backend.backend() == "jax"
    return model


def predict(
    model: keras.Model,
    data: pathlib.Path,
    split: str,
    *,
    size: int,
    memory: float,
) -> Predictions:
    """Runs a model with several exits, of either Keras, over a split.

    Args:
        model: The model.
        data: The prepared data set.
        split: Name of the split.
        size: Height and width of the model's input.
        memory: Bytes that the images may take, for `dataset.open_split`.
    """
    images = dataset.open_split(data, split, memory=memory)
    return passes.predict(model, images, size)


def log_accuracies(kind: str, accuracies: Sequence[float]) -> None:
    """Logs one line with the accuracy of every exit.

    Args:
        kind: "float", "qat" or "int8".
        accuracies: Accuracy of each exit, in [0, 1].
    """
    text = " ".join(f"{100 * accuracy:.2f}" for accuracy in accuracies)
    logging.info("%s accuracy per exit: %s %%", kind, text)
