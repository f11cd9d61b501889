"""Scores a routing of images to exits: accuracy, cost and shares."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamic.exits.decision import checks


@dataclass(frozen=True)
class Outcome:
    """Holds the result of letting each image stop at its exit.

    Attributes:
        accuracy: Share of images whose exit's top class is the label.
        mean_cost: Mean cost per image, in the unit of the costs.
        exit_shares: Share of images that stop at each exit, [K]; sums to 1.
    """

    accuracy: float
    mean_cost: float
    exit_shares: tuple[float, ...]


def outcome(
    exits: np.ndarray,
    logits: Sequence[np.ndarray],
    labels: np.ndarray,
    costs: Sequence[float],
) -> Outcome:
    """Scores a routing.

    An image that stops at exit k costs `costs[k]`, also when earlier exits are
    disabled: their segments have run.

    Args:
        exits: The exit that each image takes, integers [N] in [0, K).
        logits: One [N, C] array per exit, shallow to deep.
        labels: Classes, integers [N] in [0, C).
        costs: Finite numbers, cumulative per exit, [K].

    Raises:
        ValueError: If a shape or a value is not as said.
    """
    prices = np.asarray(costs)
    if prices.ndim != 1 or not np.isfinite(prices).all():
        raise ValueError(
            f"`costs` must be finite numbers of shape [K]. Received: {prices}"
        )
    right = correct(logits, labels, len(prices))
    exits = np.asarray(exits)
    if exits.shape != right.shape[1:] or exits.dtype.kind not in "iu":
        raise ValueError(
            f"`exits` must be integers of shape {right.shape[1:]}. "
            f"Received: {exits.dtype} of shape {exits.shape}"
        )
    if exits.min() < 0 or exits.max() >= len(prices):
        raise ValueError(
            f"`exits` must lie in [0, {len(prices)}). "
            f"Received: {exits.min()} to {exits.max()}"
        )
    return tally(exits, right, prices)


def tally(exits: np.ndarray, right: np.ndarray, costs: np.ndarray) -> Outcome:
    """Scores a routing of images whose right exits are known.

    Args:
        exits: The exit that each image takes, integers [N] in [0, K).
        right: Whether each exit is right, from `correct`, bool [K, N].
        costs: Finite numbers, cumulative per exit, [K].
    """
    counts = np.bincount(exits, minlength=len(costs))
    return Outcome(
        accuracy=float(right[exits, np.arange(len(exits))].mean()),
        mean_cost=mean_cost(exits, costs),
        exit_shares=tuple((counts / len(exits)).tolist()),
    )


def mean_cost(exits: np.ndarray, costs: np.ndarray) -> float:
    """Returns the mean cost of images; arguments are those of `tally`."""
    counts = np.bincount(exits, minlength=len(costs))
    return float(counts @ costs / len(exits))


def correct(
    logits: Sequence[np.ndarray], labels: np.ndarray, exits: int
) -> np.ndarray:
    """Tells where each exit's top class is the label, bool [K, N].

    Of equal logits the lowest class counts as the top one.

    Args:
        logits: One [N, C] array per exit, shallow to deep.
        labels: Classes, integers [N] in [0, C).
        exits: How many exits there must be, K.

    Raises:
        ValueError: If a shape or a value is not as said.
    """
    arrays = checks.exit_logits(logits, exits)
    labels = checks.class_labels(labels, *arrays[0].shape)
    return np.stack([array.argmax(axis=1) == labels for array in arrays])
