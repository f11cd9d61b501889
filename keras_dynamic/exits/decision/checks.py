"""Checks the logits, labels and costs that callers pass in."""

from collections.abc import Sequence

import numpy as np


def image_logits(
    logits: np.ndarray, name: str = "logits", *, classes: int = 1
) -> np.ndarray:
    """Returns one exit's logits as an array [N, C]; the dtype stays.

    Args:
        logits: Finite numbers, [N, C], N at least 1.
        name: Name of `logits` in an error.
        classes: The least C; 2 where something is fitted, because a single
            class leaves nothing to be unsure of.

    Raises:
        ValueError: If the shape or a logit is not as said.
    """
    array = np.asarray(logits)
    if array.ndim != 2 or not len(array) or array.shape[1] < classes:
        raise ValueError(
            f"`{name}` must be [N, C], N at least 1 and C at least {classes}. "
            f"Received: shape {array.shape}"
        )
    if not np.isfinite(array).all():
        finite = np.isfinite(array).all(axis=1)
        raise ValueError(
            f"`{name}` must be finite. Received: NaN or infinity in "
            f"{np.count_nonzero(~finite)} of {finite.size} rows"
        )
    return array


def exit_logits(
    logits: Sequence[np.ndarray], exits: int, *, classes: int = 1
) -> tuple[np.ndarray, ...]:
    """Returns every exit's logits as arrays [N, C] of one shape.

    Args:
        logits: K arrays of finite numbers, [N, C], shallow to deep.
        exits: The number of exits that K must be.
        classes: The least C; 2 where something is fitted.

    Raises:
        ValueError: If K, a shape or a logit is not as said; names the exit.
    """
    if len(logits) != exits:
        raise ValueError(
            f"`logits` must hold one array per exit, {exits} in all. "
            f"Received: {len(logits)}"
        )
    arrays = tuple(
        image_logits(each, f"logits[{exit}]", classes=classes)
        for exit, each in enumerate(logits)
    )
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(
            f"`logits` must hold arrays of one shape. Received: {shapes}"
        )
    return arrays


def class_labels(labels: np.ndarray, images: int, classes: int) -> np.ndarray:
    """Returns the labels as an array of integers [N].

    Args:
        labels: Integers in [0, C), [N].
        images: The number of images that N must be.
        classes: The number of classes, C.

    Raises:
        ValueError: If the shape, the dtype or a label is not as said.
    """
    array = np.asarray(labels)
    if array.shape != (images,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"`labels` must be integers of shape {(images,)}. "
            f"Received: {array.dtype} of shape {array.shape}"
        )
    if array.min() < 0 or array.max() >= classes:
        raise ValueError(
            f"`labels` must lie in [0, {classes}). "
            f"Received: {array.min()} to {array.max()}"
        )
    return array


def exit_costs(
    costs: Sequence[float], temperatures: Sequence[float]
) -> np.ndarray:
    """Returns the costs as an array of numbers [K]; integers stay integers.

    Args:
        costs: Increasing finite numbers of at least 0, cumulative per exit,
            [K]: multiply-adds or milliseconds.
        temperatures: One per exit, [K]; only their number is checked.

    Raises:
        ValueError: If the costs or the number of temperatures is not as said.
    """
    array = np.asarray(costs)
    if (
        array.ndim != 1
        or array.size == 0
        or array.dtype.kind not in "iuf"
        or not np.isfinite(array).all()
        or array[0] < 0
        or (array[1:] <= array[:-1]).any()
    ):
        raise ValueError(
            "`costs` must be increasing finite numbers of at least 0, one per "
            f"exit. Received: {array}"
        )
    if len(temperatures) != len(array):
        raise ValueError(
            f"`temperatures` must hold one per exit, {len(array)} in all. "
            f"Received: {len(temperatures)}"
        )
    return array
