"""Fails when quantization cost accuracy or the chain is not the model."""

import os

import ml_collections
import numpy as np
from absl import logging

from pipeline.data import augmentation, dataset
from pipeline.gate import (
    belonging,
    judge,
    losses,
    measure,
    shipped_policies,
)
from pipeline.gate.judge import Request
from pipeline.processes import heartbeat
from pipeline.results import stage_results
from pipeline.results.identity import identity
from pipeline.results.layout import Layout
from pipeline.results.stage_results import Results
from tflite import bundle
from tflite.bundle import completeness
from tflite.diagnosis import equivalence
from tflite.format import files
from tflite.runtime.harness import Harness
from tflite.runtime.whole_model import Unsplit

# Test images that run through the archive, too.
_FROM_ARCHIVE = 16


class CheckFailed(ValueError):
    """Says that the gate is shut; the message names every cause."""


class ReferenceMissed(CheckFailed):
    """Says that a reference shuts the gate: a CI can tell it from errors."""

    exit_code = 3


def check(
    config: ml_collections.ConfigDict,
    layout: Layout,
    request: Request | None = None,
) -> Results:
    """Compares int8 with float, and the chain with the unsplit model.

    Args:
        config: The configuration.
        layout: Where the results of the other stages lie.
        request: The reference to compare with, if any: see `pipeline.gate`.

    Returns:
        The results with the number of logits of the chain that differ. They
        are kept if the check fails, too.

    Raises:
        CheckFailed: If an exit's int8 accuracy is more than
            `check.max_points` under its float accuracy and chance does not
            explain it, an operator fell out of int8, a logit of the chain
            differs on the test split, bundle.zip is not the directory, files
            do not belong together (see `pipeline.gate.belonging`), or a policy
            is not the one that was fitted.
        ReferenceMissed: With a request, if one of these causes holds or a
            metric is not what the reference says.
        FileNotFoundError: If there are no float predictions.
        ValueError: If the reference cannot be used or is of another
            configuration, or the float predictions are not of as many exits,
            images and classes.
    """
    # Whatever is wrong with it should not take until the end to say.
    old = judge.previous(request, config.name) if request else None
    made_from = identity(layout, "check")
    model = files.model(layout.tflite_model)
    test = dataset.load(layout.data, "test")
    images = augmentation.center_crop(test.images, config.model.size)
    heartbeat.note(
        f"running the chain and the unsplit model over {len(images)} images"
    )
    with Harness(str(layout.bundle)) as harness:
        compared = equivalence.compare(harness, Unsplit(model), images)
        shipped = harness.bundle
        numbers = np.stack(
            [
                harness.dequantize(k, compared.logits[:, k])
                for k in range(shipped.policy.exits)
            ]
        )
        before = measure.answers_of(
            layout.float_predictions, "evaluate", numbers.shape
        )
        recorded, causes = belonging.recorded(shipped)
        causes += shipped_policies.differences(
            layout, harness, recorded, test.labels, numbers, compared.madds
        )
    chain = {"samples": len(images), "mismatches": compared.mismatches}
    kept = stage_results.keep(layout, "check", {"chain": chain}, made_from)
    _warn_of_foreign(shipped)
    causes = [
        *belonging.differences(
            layout, test.labels, before, numbers, shipped, config.check.level
        ),
        *causes,
        *_archive_differences(shipped, images, compared.logits),
        *_accuracy_losses(
            config.check, test.labels, before.logits, compared.logits
        ),
        *equivalence.float_operators(model, config.quantize.keep_float),
    ]
    if compared.mismatches:
        causes.append(
            f"the chain differs from the unsplit model in "
            f"{compared.mismatches} logits on {len(images)} test images"
        )
    if request:
        measured = measure.measure(
            config, layout, test, compared, numbers, shipped
        )
        verdict = judge.judge(
            request, old, config, layout, measured, made_from, shipped, causes
        )
        if verdict.failures and not verdict.updated:
            raise ReferenceMissed(verdict.sentence)
        return kept
    if causes:
        raise CheckFailed("check failed: " + "; ".join(causes))
    logging.info(
        "check passed: no exit lost more than %g points in int8 beyond chance, "
        "chain equal to the unsplit model on %d images",
        config.check.max_points,
        len(images),
    )
    return kept


def _archive_differences(
    opened: bundle.Bundle, images: np.ndarray, logits: np.ndarray
) -> list[str]:
    """Lists how bundle.zip, which ships, differs from the directory that ran.

    Args:
        opened: The directory.
        images: The test images, uint8 [N, H, W, C].
        logits: Answers of the directory's chain, [N, K, C].
    """
    lines = completeness.differences(opened)
    if lines:
        return lines
    # The bytes are the same: a few images tell whether they open as well.
    path = os.path.join(opened.directory, bundle.ARCHIVE)
    with Harness(path) as harness:
        differing = sum(
            not np.array_equal(harness.logits(image), expected)
            for image, expected in zip(
                images[:_FROM_ARCHIVE], logits[:_FROM_ARCHIVE], strict=True
            )
        )
    if differing:
        lines.append(
            f"the chain from {bundle.ARCHIVE} differs from that of the "
            f"directory on {differing} test images"
        )
    return lines


def _warn_of_foreign(opened: bundle.Bundle) -> None:
    """Warns of files that nobody vouches for; the directory does not ship."""
    for name in completeness.foreign(opened):
        logging.warning("%s is in the bundle, but not in its manifest", name)
    if isinstance(opened.labels_file, str):
        logging.warning(
            "%s has no hash: the manifest is of version 1; `convert` or "
            "`policy` writes a newer one",
            opened.labels_file,
        )


def _accuracy_losses(
    limits: ml_collections.ConfigDict,
    truth: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
) -> list[str]:
    """Lists the losses of accuracy that count, and logs the others.

    Args:
        limits: `check` of the configuration.
        truth: Labels, [N].
        before: Logits of the float model, [K, N, C].
        after: Logits of the chain, [N, K, C].
    """
    counted = []
    for loss in losses.losses(
        truth, before.argmax(-1), after.argmax(-1).T, limits.max_points
    ):
        if loss.p_value > limits.level:
            logging.warning(
                "%s: not counted, as p is above `check.level`, %g; more test "
                "images would tell",
                loss,
                limits.level,
            )
        else:
            counted.append(str(loss))
    return counted
