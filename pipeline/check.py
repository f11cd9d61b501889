"""Fails when quantization cost accuracy or the chain is not the model."""

import ml_collections
from absl import logging

from pipeline import augmentation, dataset, metrics
from pipeline.layout import Layout
from tflite import gate
from tflite.harness import Harness
from tflite.unsplit import Unsplit


class CheckFailed(ValueError):
    """The gate is shut; the message names every cause."""


def check(config: ml_collections.ConfigDict, layout: Layout) -> None:
    """Compares int8 with float, and the chain with the unsplit model.

    Raises:
        CheckFailed: If an exit's int8 accuracy is more than
            `check.max_points` under its float accuracy, an operator fell out
            of int8, or a logit of the chain differs on the test split.
    """
    found = metrics.read(layout.metrics)
    model = layout.tflite_model.read_bytes()
    images = augmentation.center_crop(
        dataset.load(layout.data, "test").images, config.model.size
    )
    causes = gate.accuracy_losses(found["exits"], config.check.max_points)
    causes += gate.float_operators(model)
    with Harness(str(layout.bundle)) as harness:
        mismatches = gate.mismatches(harness, Unsplit(model), images)
    found["chain"] = {
        **found.get("chain", {}),
        "samples": len(images),
        "mismatches": mismatches,
    }
    metrics.write(layout.metrics, found)
    if mismatches:
        causes.append(
            f"the chain differs from the unsplit model in {mismatches} logits "
            f"on {len(images)} test images"
        )
    if causes:
        raise CheckFailed("check failed: " + "; ".join(causes))
    logging.info(
        "check passed: int8 within %g points at every exit, chain equal to the "
        "unsplit model on %d images",
        config.check.max_points,
        len(images),
    )
