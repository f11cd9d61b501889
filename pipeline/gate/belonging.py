"""Lists files of a working directory that do not belong together.

Each may be sound by itself, and a number made of two that are not about the
same images or the same model is wrong without looking so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.data import manifest
from pipeline.gate import mcnemar
from pipeline.results import stage_results
from pipeline.results.layout import Layout
from pipeline.results.predictions import Predictions
from tflite import bundle
from tflite.bundle import recorded_logits
from tflite.bundle.recorded_logits import Recorded

# Accuracies are shares of whole images.
_ROUNDING = 1e-9


def differences(
    layout: Layout,
    truth: np.ndarray,
    before: Predictions,
    numbers: np.ndarray,
    shipped: bundle.Bundle,
    level: float,
) -> list[str]:
    """Compares what a check reads, but for the policies; a line per cause.

    Args:
        layout: Where the files lie.
        truth: Labels of the test images, [N].
        before: What the float model says of them.
        numbers: Logits of the chain, dequantized, [K, N, C].
        shipped: The bundle that ran.
        level: `check.level`, which losses must be less likely than by chance.
    """
    return [
        *_images(truth, level),
        *_float_answers(layout, truth, before, numbers),
        *_data(manifest.read(layout.data), shipped),
    ]


def recorded(shipped: bundle.Bundle) -> tuple[Recorded | None, list[str]]:
    """Reads calibration.npy, which need not be there.

    Returns:
        What it holds, or None; and a line if it is not what the manifest says.
    """
    if shipped.calibration is None:
        return None, []
    if shipped.lacks(shipped.calibration):
        return None, []
    try:
        return recorded_logits.read(shipped), []
    except ValueError as error:
        return None, [str(error)]


def _images(truth: np.ndarray, level: float) -> list[str]:
    """Compares the number of images with what the test can tell from chance."""
    all_lost = np.ones(len(truth), bool)
    least = mcnemar.p_value(all_lost, ~all_lost)
    if least <= level:
        return []
    return [
        f"the test split has {len(truth)} images, too few for `check.level` "
        f"{level:g}: were all of them lost, p would be {least:.2g}"
    ]


def _float_answers(
    layout: Layout, truth: np.ndarray, before: Predictions, numbers: np.ndarray
) -> list[str]:
    path, said = layout.float_predictions, before.logits
    again = "; run `keras-dynamic evaluate` again"
    lines = []
    if (bad := np.flatnonzero(before.labels != truth)).size:
        first = bad[0]
        lines.append(
            f"{path} has other labels than {layout.data} for {bad.size} of "
            f"{len(truth)} test images: {before.labels[first]} and "
            f"{truth[first]} for image {first}{again}"
        )
    for exit, logits in enumerate(said):
        if not np.isfinite(logits).all():
            lines.append(
                f"{path} has logits of exit {exit} that are no finite "
                f"numbers{again}"
            )
        elif np.array_equal(
            logits.astype(np.float32), numbers[exit].astype(np.float32)
        ):
            lines.append(
                f"{path} has the logits of the int8 model for exit {exit}, not "
                f"those of the float model{again}"
            )
    lines += _evaluated(layout, said.argmax(-1) == before.labels)
    return lines


def _evaluated(layout: Layout, right: np.ndarray) -> list[str]:
    """Compares accuracies with those that `evaluate` measured, if any."""
    path = layout.results_of("evaluate")
    if not path.exists():
        return []
    try:
        rows = stage_results.read(path).metrics["exits"]
        measured = [float(row["accuracy"]["float"]) for row in rows]
    except (KeyError, TypeError, IndexError):
        return [f"{path} has no float accuracy of each exit"]
    now = right.mean(axis=1).tolist()
    if len(measured) == len(now) and np.allclose(
        measured, now, rtol=0, atol=_ROUNDING
    ):
        return []
    return [
        f"{layout.float_predictions} answers {_percent(now)} right at its "
        f"exits, {path} says {_percent(measured)}: one of them is of another "
        "model or other images"
    ]


def _percent(shares: Sequence[float]) -> str:
    return ", ".join(f"{share:.2%}" for share in shares)


def _data(prepared: Mapping[str, Any], shipped: bundle.Bundle) -> list[str]:
    """Compares what the data set and the bundle both say."""
    lines = []
    labels, ours = list(prepared["labels"]), list(shipped.labels)
    if labels != ours:
        other = [
            f"{i} is {a!r} and {b!r}"
            for i, (a, b) in enumerate(zip(labels, ours, strict=False))
            if a != b
        ]
        said = "; ".join(other[:3]) or f"{len(labels)} and {len(ours)} of them"
        lines.append(
            f"the labels of the data set are not those of the bundle: {said}"
        )
    fit = bundle.FitFacts(prepared["size"])
    if shipped.input.fit != fit:
        lines.append(
            "the bundle's `input.fit` is not that of the images it was made "
            f"with: {shipped.input.fit} instead of {fit}"
        )
    return lines
