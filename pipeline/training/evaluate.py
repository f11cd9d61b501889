"""Measures the float model: every exit's accuracy and cost, and its curves."""

import functools

import keras
import ml_collections

from keras_dynamic.graph import cost, gating
from pipeline.data import manifest
from pipeline.processes import heartbeat
from pipeline.results import (
    assessment,
    metrics_file,
    predictions,
    stage_results,
)
from pipeline.results.identity import identity
from pipeline.results.layout import Layout
from pipeline.results.overlay import overlay
from pipeline.results.stage_results import Results
from pipeline.training import trained_model


def evaluate(config: ml_collections.ConfigDict, layout: Layout) -> Results:
    """Measures the float model; metrics.json rests on it.

    Without calibration images, the numbers that are fitted on them are absent.

    Returns:
        The data, each exit's cost, and the accuracy of the float model.
    """
    made_from = identity(layout, "evaluate")
    data = manifest.read(layout.data)
    model = trained_model.load(layout.float_model, config)
    rows = [
        {
            "exit": row.exit,
            "madds": row.madds,
            "madds_paper": row.madds_paper,
            "params": row.params,
            "accuracy": {},
        }
        for row in cost.exit_costs(model)
    ]
    found = {
        "config": config.name,
        "model": config.model.family,
        "dataset": {**data["counts"], "rejected": data["rejected"]},
        "exits": rows,
    }
    answer = functools.partial(
        trained_model.predict,
        data=layout.data,
        size=config.model.size,
        memory=config.memory_gib * 2**30,
    )
    heartbeat.note("running the float model over the test images")
    said = {"test": answer(model, split="test")}
    if data["counts"]["calibration"]:
        heartbeat.note("running the float model over the calibration images")
        said["calibration"] = answer(model, split="calibration")
    predictions.save(layout.float_predictions, **said)
    costs = [row["madds"] for row in rows]
    gates = gating.gating(model)
    if gates.names:
        opened = answer(_open_shares(model, gates), split="test")
        ran = metrics_file.dynamic_madds(
            gating.dynamic_madds(gates, opened.logits[0])
        )
        costs = [each["mean"] for each in ran]
        noted = metrics_file.exit_rows("float", dynamic_madds=ran)
        found = overlay(found, {"exits": noted})
    assessed = assessment.assess(
        "float", costs, said.get("calibration"), said["test"]
    )
    trained_model.log_accuracies("float", said["test"].accuracies())
    return stage_results.keep(
        layout, "evaluate", overlay(found, assessed), made_from
    )


def _open_shares(model: keras.Model, gates: gating.Gating) -> keras.Model:
    """Builds a model of the share of each gate that is open, [batch, gates]."""
    shares = [
        keras.ops.mean(
            keras.ops.cast(keras.layers.Flatten()(score) > 0, "float32"),
            axis=-1,
            keepdims=True,
        )
        for score in gates.scores
    ]
    return keras.Model(model.input, keras.ops.concatenate(shares, axis=-1))
