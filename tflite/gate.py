"""What a CI must notice about a quantized, split model."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tflite import int8
from tflite.harness import Harness
from tflite.unsplit import Unsplit


def accuracy_losses(exits: Sequence[Mapping], max_points: float) -> list[str]:
    """Names the exits whose int8 accuracy is too far under float.

    Args:
        exits: The rows "exits" of metrics.json.
        max_points: Largest loss allowed, in percentage points.
    """
    causes = []
    for row in exits:
        before, after = row["accuracy"]["float"], row["accuracy"]["int8"]
        points = 100 * (before - after)
        # Accuracies are shares of whole images: a loss of just max_points
        # must not fail for the rounding of a division.
        if points > max_points + 1e-9:
            causes.append(
                f"exit {row['exit']} lost {points:.2f} points in int8 "
                f"({100 * before:.2f} % to {100 * after:.2f} %), "
                f"{max_points:g} allowed"
            )
    return causes


def float_operators(model: bytes) -> list[str]:
    """Names the operators of a .tflite model that are not int8."""
    return int8.exceptions(model)


def mismatches(
    harness: Harness, unsplit: Unsplit, images: Iterable[np.ndarray]
) -> int:
    """Counts the logits in which the chain differs from the unsplit model.

    Args:
        harness: The chain, run to the last exit for each image.
        unsplit: The model it was cut from.
        images: uint8 [H, W, C] each.
    """
    count = 0
    for image in images:
        for ours, theirs in zip(
            harness.logits(image), unsplit.logits(image), strict=True
        ):
            count += int(np.sum(ours != theirs))
    return count
