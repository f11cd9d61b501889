"""The float model: every exit's accuracy and cost, and its curves."""

import keras
import ml_collections
from absl import logging

from keras_dynamic.graph import cost, gating
from keras_dynamic.weights.loading import trained_model
from pipeline.data import dataset, manifest
from pipeline.results import (
    assessment,
    metrics_file,
    predictions,
    tables,
)
from pipeline.results.layout import Layout
from pipeline.results.predictions import Predictions
from pipeline.training import passes


def evaluate(config: ml_collections.ConfigDict, layout: Layout) -> None:
    """Begins metrics.json: the data, each exit's cost, and the float model.

    Without calibration images, what is fitted on them stays absent.
    """
    data = manifest.read(layout.data)
    model = load_model(layout)
    found = {
        "config": config.name,
        "model": config.model.family,
        "dataset": {**data["counts"], "rejected": data["rejected"]},
        "exits": [
            {
                "exit": row.exit,
                "madds": row.madds,
                "madds_paper": row.madds_paper,
                "params": row.params,
                "accuracy": {},
            }
            for row in cost.exit_costs(model)
        ],
    }
    said = {"test": predict(model, config, layout, "test")}
    if data["counts"]["calibration"]:
        said["calibration"] = predict(model, config, layout, "calibration")
    predictions.save(layout.float_predictions, **said)
    gates = gating.gating(model)
    if gates.names:
        opened = predict(_open_shares(model, gates), config, layout, "test")
        madds = gating.dynamic_madds(gates, opened.logits[0])
        metrics_file.note_dynamic_madds(found, "float", madds)
    assessment.assess(found, "float", said.get("calibration"), said["test"])
    tables.publish(layout, found)
    metrics_file.write(layout.metrics, found)
    log_accuracies("float", said["test"].accuracies())


def _open_shares(model: keras.Model, gates: gating.Gating) -> keras.Model:
    """What gives, of each gate, the share that is open, [batch, gates]."""
    shares = [
        keras.ops.mean(
            keras.ops.cast(keras.layers.Flatten()(score) > 0, "float32"),
            axis=-1,
            keepdims=True,
        )
        for score in gates.scores
    ]
    return keras.Model(model.input, keras.ops.concatenate(shares, axis=-1))


def load_model(layout: Layout) -> keras.Model:
    """The trained float model.

    Raises:
        ValueError: If it is missing or damaged.
    """
    model = trained_model("float_model", layout.float_model)
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
    return passes.predict(model, images, config.model.size)


def log_accuracies(kind: str, accuracies: list[float]) -> None:
    """Prints one line with the accuracy of every exit."""
    text = " ".join(f"{100 * accuracy:.2f}" for accuracy in accuracies)
    logging.info("%s accuracy per exit: %s %%", kind, text)
