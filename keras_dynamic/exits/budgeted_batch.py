"""Thresholds for a budget, by the rule of the papers.

A fixed share of the images is to leave at each exit, and each threshold
follows from the images that are still there. This is the evaluation code that
MSDNet (Huang et al. 2018), RANet (Yang et al. 2020), BoostNet (Yu et al. 2023)
and others released ("budgeted batch classification").
"""

import math
from collections.abc import Sequence

import numpy as np

from keras_dynamic.exits import confidence, policy


def exit_shares(q: float, exits: int) -> np.ndarray:
    """Returns the share of images that is to leave at each exit.

    The share of exit k = 1..K is proportional to q^k: with q below 1 most
    images leave early, above 1 late. The released code sweeps q over 0.05,
    0.10, ... up to about 2.

    Args:
        q: A finite positive number.
        exits: The number of exits, K, at least 1.

    Returns:
        float64 [K]; sums to 1.

    Raises:
        ValueError: If an argument is not as said.
    """
    if not 0.0 < q < math.inf:
        raise ValueError(f"`q` must be a finite positive number. Received: {q}")
    if exits < 1:
        raise ValueError(f"`exits` must be at least 1. Received: {exits}")
    # Powers of the largest share, which is 1: none of them overflows.
    powers = np.arange(exits) - (exits - 1 if q > 1.0 else 0)
    shares = np.float64(q) ** powers
    return shares / shares.sum()


def thresholds(
    confidences: np.ndarray, shares: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Places each exit's threshold so that its share of the images leaves.

    At exit k the threshold is the floor(N * share_k)-th highest confidence
    among the images that are still there; whoever reaches it leaves, so equal
    confidences leave together. Where that number is zero, or more than are
    still there, the exit never fires, as in the authors' code: its threshold
    there is 1e8, here it is disabled. Their shares are float32, which can make
    a difference of one image.

    Args:
        confidences: In [0, 1], [K, N].
        shares: As from `exit_shares`, [K].

    Returns:
        Thresholds, float64 [K] in [0, 1], and whether each exit is enabled,
        bool [K]. The last exit is enabled and its threshold 0.

    Raises:
        ValueError: If an argument is not as said.
    """
    confidences = np.asarray(confidences, dtype=np.float64)
    if confidences.ndim != 2 or confidences.size == 0:
        raise ValueError(
            "`confidences` must be [K, N], K and N at least 1. "
            f"Received: shape {confidences.shape}"
        )
    if not ((confidences >= 0.0) & (confidences <= 1.0)).all():
        raise ValueError(
            "`confidences` must lie in [0, 1]. "
            f"Received: {confidences.min()} to {confidences.max()}"
        )
    exits, images = confidences.shape
    shares = np.asarray(shares, dtype=np.float64)
    if (
        shares.shape != (exits,)
        or not (shares >= 0.0).all()
        or not math.isclose(shares.sum(), 1.0, rel_tol=1e-6)
    ):
        raise ValueError(
            f"`shares` must be {exits} numbers of at least 0 that sum to 1. "
            f"Received: {shares}"
        )
    bars = np.full(exits, policy.DISABLED_THRESHOLD)
    bars[-1] = 0.0
    enabled = np.zeros(exits, dtype=bool)
    enabled[-1] = True
    present = np.ones(images, dtype=bool)
    for exit in range(exits - 1):
        leaving = math.floor(images * shares[exit])
        ranked = np.sort(confidences[exit, present])[::-1]
        if 1 <= leaving <= ranked.size:
            bars[exit] = ranked[leaving - 1]
            enabled[exit] = True
            present &= confidences[exit] < bars[exit]
    return bars, enabled


def budgeted_policy(
    logits: Sequence[np.ndarray],
    temperatures: Sequence[float],
    shares: Sequence[float],
) -> policy.Policy:
    """Returns the policy whose thresholds give these images those shares.

    Args:
        logits: One [N, C] array per exit, shallow to deep.
        temperatures: One per exit, [K]; the papers use 1.
        shares: As from `exit_shares`, [K].

    Raises:
        ValueError: If an argument is not as said.
    """
    bars, enabled = thresholds(
        confidence.confidences(logits, temperatures), shares
    )
    return policy.Policy(
        temperatures=tuple(temperatures),
        thresholds=tuple(bars),
        enabled=tuple(enabled),
    )
