"""Takes the gate's numbers from a working directory."""

import os
import pathlib

import ml_collections
import numpy as np

from pipeline.data.dataset import Images
from pipeline.gate import measured, metric
from pipeline.gate.measured import Measured
from pipeline.results import predictions
from pipeline.results.layout import Layout
from pipeline.results.predictions import Predictions
from tflite import bundle
from tflite.bundle import completeness
from tflite.diagnosis import delegation, equivalence
from tflite.diagnosis.equivalence import Comparison
from tflite.format import files


def measure(
    config: ml_collections.ConfigDict,
    layout: Layout,
    test: Images,
    chain: Comparison,
    logits: np.ndarray,
    shipped: bundle.Bundle,
) -> Measured:
    """Measures an experiment of which the chain has run on the test images.

    Args:
        config: The configuration.
        layout: Where the other results lie.
        test: The test images.
        chain: Comparison of the chain with the unsplit model on them.
        logits: Logits of the chain, dequantized, [K, N, C].
        shipped: The bundle that ran.

    Raises:
        ValueError: If the predictions of the float model, or those of
            quantization-aware training, are not of these images.
        FileNotFoundError: If there are no such predictions.
    """
    truth = test.labels
    before, trained = (
        answers_of(path, stage, logits.shape).logits
        for path, stage in (
            (layout.float_predictions, "evaluate"),
            (layout.qat_predictions, "quantize"),
        )
    )
    answers = {
        "float": before.argmax(-1),
        "int8": logits.argmax(-1),
        "qat": trained.argmax(-1),
    }
    policies = {"default": shipped.policy, **shipped.operating_points}
    return Measured(
        config=config.name,
        keys=test.keys,
        labels=shipped.labels,
        policies=policies,
        metrics={
            **measured.of_exits(truth, answers),
            **measured.of_logits(before, logits),
            **measured.of_policies(policies, truth, logits, chain.madds),
            **_of_files(layout, shipped),
            "chain.mismatches": metric.count(chain.mismatches, "lower"),
        },
        truth=truth,
        answers=answers,
    )


def answers_of(
    path: pathlib.Path, stage: str, shape: tuple[int, int, int]
) -> Predictions:
    """Reads what a model says of the test images.

    Args:
        path: A file of predictions.
        stage: The stage that writes it.
        shape: Exits, test images and classes, (K, N, C).

    Raises:
        ValueError: If the predictions are of others, or damaged.
        FileNotFoundError: If there are no predictions.
    """
    said = predictions.load(path, "test")
    if said.logits.shape != shape or said.labels.shape != shape[1:2]:
        raise ValueError(
            f"{path} must be of what the bundle and the test split have, "
            f"{_counted(shape)}; run `keras-dynamic {stage}` again. "
            f"Received: {_counted(said.logits.shape)}, "
            f"{said.labels.size} labels"
        )
    return said


def _counted(shape: tuple[int, ...]) -> str:
    if len(shape) != 3:
        return f"logits of shape {shape}"
    exits, images, classes = shape
    return f"{images} images, {exits} exits, {classes} classes"


def _of_files(layout, shipped):
    """Counts operators, delegated partitions and bytes of the bundle."""
    model = files.model(layout.tflite_model)
    floats = len(equivalence.float_operators(model))
    total = equivalence.operators(model)
    found = {
        "operators.int8": metric.count(total - floats, ""),
        "operators.float": metric.count(floats, "lower"),
    }
    for place, facts in enumerate(shipped.segments):
        taken = delegation.delegation(shipped.model(place))
        name = os.path.splitext(facts.file)[0]
        found[f"{name}.partitions"] = metric.count(taken.partitions, "")
        found[f"{name}.not_delegated"] = metric.count(len(taken.left), "lower")
    size = completeness.archive_bytes(shipped)
    if size is not None:
        found["bundle.bytes"] = metric.cost(size)
    return found
