"""Measures what a CI must notice about a quantized, split model."""

import dataclasses
from collections.abc import Collection, Iterable

import numpy as np

from tflite.format import int8_only, model_file
from tflite.runtime.harness import Harness
from tflite.runtime.whole_model import Unsplit


def operators(model: bytes) -> int:
    """Counts the operators of a .tflite model."""
    return len(model_file.read(model).subgraphs[0].operators)


def float_operators(
    model: bytes, keep_float: Collection[str] = ()
) -> list[str]:
    """Names the operators of a .tflite model that are not int8.

    Args:
        model: The .tflite file.
        keep_float: Names of Keras layers whose operators may work on floats.
    """
    return int8_only.exceptions(model, keep_float)


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Holds how the chain differs from the model it was cut from, on N images.

    Attributes:
        mismatches: Logits, of any exit and image, that differ.
        madds: Multiply-adds that the chain ran up to each exit, int64 [N, K].
        logits: Of the chain, as its segments give them, [N, K, C].
    """

    mismatches: int
    madds: np.ndarray
    logits: np.ndarray


def compare(
    harness: Harness, unsplit: Unsplit, images: Iterable[np.ndarray]
) -> Comparison:
    """Runs the chain and the unsplit model on images, one at a time.

    Args:
        harness: The chain, run to the last exit for each image.
        unsplit: The model it was cut from.
        images: uint8 [H, W, C] each.
    """
    mismatches, madds, logits = 0, [], []
    for image in images:
        found = list(harness.exits(image))
        for ours, theirs in zip(found, unsplit.logits(image), strict=True):
            mismatches += int(np.sum(ours.logits != theirs))
        madds.append([reached.madds for reached in found])
        logits.append([reached.logits for reached in found])
    return Comparison(
        mismatches,
        np.cumsum(madds, axis=-1, dtype=np.int64),
        np.array(logits),
    )
