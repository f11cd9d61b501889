"""Finds shares of the images to leave at each exit, and thresholds for them.

This is the evaluation code that MSDNet (Huang et al. 2018), RANet (Yang et al.
2020), BoostNet (Yu et al. 2023) and others released ("budgeted batch
classification").
"""

import math
from collections.abc import Sequence

import numpy as np

from keras_dynamic.exits.decision.policy import DISABLED_THRESHOLD


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
    return tilted(np.ones(exits), q)


def tilted(shares: np.ndarray, q: float) -> np.ndarray:
    """Multiplies the share of exit k by q^k; the sum becomes 1.

    Args:
        shares: Positive numbers, [K].
        q: A finite positive number.
    """
    exits = shares.size
    # Powers of the largest factor, which is 1: none of them overflows.
    powers = np.arange(exits) - (exits - 1 if q > 1.0 else 0)
    products = shares * np.float64(q) ** powers
    return products / products.sum()


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
        shares: Numbers of at least 0 that sum to 1, as from `exit_shares`, [K].

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
    shares = checked_shares(shares, exits)
    bars = np.full(exits, DISABLED_THRESHOLD)
    bars[-1] = 0.0
    enabled = np.zeros(exits, dtype=bool)
    enabled[-1] = True
    present = np.ones(images, dtype=bool)
    for exit in range(exits - 1):
        leaving = math.floor(images * shares[exit])
        here = confidences[exit, present]
        if 1 <= leaving <= here.size:
            place = here.size - leaving
            bars[exit] = np.partition(here, place)[place]
            enabled[exit] = True
            present &= confidences[exit] < bars[exit]
    return bars, enabled


def checked_shares(shares: Sequence[float], exits: int) -> np.ndarray:
    """Returns the shares as float64 [K].

    Args:
        shares: Numbers of at least 0 that sum to 1, [K].
        exits: The number of exits, K.

    Raises:
        ValueError: If they are not as said.
    """
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
    return shares
