"""Accuracy of every exit of the float model on the test split."""

import math

import keras
import ml_collections
import numpy as np
from absl import logging

from keras_dynamic import cost, layers
from pipeline import batches, dataset, manifest, metrics
from pipeline.layout import Layout
from pipeline.predictions import Predictions

_BATCH = 256


def evaluate(config: ml_collections.ConfigDict, layout: Layout) -> None:
    """Begins metrics.json: the data, each exit's cost and float accuracy."""
    data = manifest.read(layout.data)
    model = load_model(layout)
    accuracies = predict(model, config, layout, "test").accuracies()
    found = {
        "config": config.name,
        "model": config.model.family,
        "dataset": {**data["counts"], "rejected": data["rejected"]},
        "exits": [
            {
                "exit": row.exit,
                "madds": row.madds,
                "params": row.params,
                "accuracy": {},
            }
            for row in cost.exit_costs(model)
        ],
    }
    metrics.set_accuracies(found, "float", accuracies)
    metrics.write(layout.metrics, found)
    log_accuracies("float", accuracies)


def load_model(layout: Layout) -> keras.Model:
    """The trained float model.

    Raises:
        ValueError: If the file is damaged.
    """
    model = keras.models.load_model(
        layout.float_model,
        custom_objects={name: getattr(layers, name) for name in layers.__all__},
        compile=False,
    )
    model.jit_compile = keras.backend.backend() == "jax"  # See train.
    return model


def predict(
    model: keras.Model,
    config: ml_collections.ConfigDict,
    layout: Layout,
    split: str,
) -> Predictions:
    """Runs a model with several exits, of either Keras, over a split."""
    images = dataset.open_split(
        layout.data, split, memory=config.memory_gib * 2**30
    )
    outputs = model.predict(
        batches.in_order(images, batch_size=_BATCH, size=config.model.size),
        steps=math.ceil(len(images) / _BATCH),
        verbose=0,
    )
    if not isinstance(outputs, list | tuple):
        outputs = [outputs]
    return Predictions(images.labels, np.stack(outputs))


def log_accuracies(kind: str, accuracies: list[float]) -> None:
    """Prints one line with the accuracy of every exit."""
    text = " ".join(f"{100 * accuracy:.2f}" for accuracy in accuracies)
    logging.info("%s accuracy per exit: %s %%", kind, text)
