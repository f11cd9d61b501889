"""Finds the best thresholds on some images: the most right at each cost.

Choosing thresholds for a cost and choosing them for an accuracy are two
questions about one object, the frontier: the policies of which none is both
more accurate and cheaper than another. The method is ours; the papers fix
shares of images or search a grid.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamic.exits.decision.policy import DISABLED_THRESHOLD
from keras_dynamic.exits.fitting.threshold_search import Search

# Scores that a search may look at, about: a second or two.
WORK = 30_000_000

# Thresholds that are tried per exit where there are more exits than three.
VALUES = 10_000

# Integers of so many bits are exact in float64.
_EXACT_BITS = 53


@dataclass(frozen=True, eq=False)
class Frontier:
    """Holds policies for N images, from the cheapest to the most accurate.

    Attributes:
        hits: How many images each policy gets right, increasing, int64 [P].
        costs: Sum of each policy's costs, in units, increasing; exact, float64
            [P].
        thresholds: The scores that suffice to leave, of each policy; infinity
            lets nobody leave. float64 [P, K].
        images: The number of images, N.
        unit: Units in a cost of 1, a power of two; 1 if costs are integers.
        slack: A number of images: no thresholds at all get more than `slack`
            images more right than those here that cost no more. 0: these are
            the best there are. None: not known, for four exits or more.
        closed: Whether every change of a single threshold of each of these
            was tried: none is better than all of these.
    """

    hits: np.ndarray
    costs: np.ndarray
    thresholds: np.ndarray
    images: int
    unit: float
    slack: int | None
    closed: bool

    def cheapest(self, accuracy: float) -> int | None:
        """Returns the cheapest policy of an accuracy, None if there is none.

        Args:
            accuracy: The least share of right answers, compared as float64.
        """
        enough = self.hits / self.images >= accuracy
        return int(enough.argmax()) if enough.any() else None

    def most_accurate(self, cost: float) -> int | None:
        """Returns the most accurate policy of a cost, None if there is none.

        Args:
            cost: The highest mean cost of an image, compared as float64.
        """
        means = self.costs / self.unit / self.images
        affordable = np.flatnonzero(means <= cost)
        return int(affordable[-1]) if affordable.size else None


def frontier(
    scores: np.ndarray,
    right: np.ndarray,
    costs: Sequence[float],
    *,
    work: int = WORK,
    values: int = VALUES,
) -> Frontier:
    """Finds the frontier of some images.

    It does not depend on what is asked of it later, so a larger budget never
    gives less accuracy, nor does a larger drop of accuracy cost more.

    - One or two exits: nothing is better (`slack` 0).
    - Three exits: all thresholds of the second are tried for each of the
      first. If that is too much work, only for every n-th of the first that
      matters, and `slack` is n - 1.
    - More exits: thresholds are those of the images; beyond `values` images,
      as many of them, with equally many images between them. The search goes
      from the most accurate policies to the cheapest, at a rising rate of
      exchange between accuracy and cost: at each rate one exit after the other
      takes its best threshold, and all others that it could take are noted.
      Then, as long as there is work left, every change of a single threshold
      of a policy on the frontier is tried, always where the frontier is least
      known: `closed` if all are.

    Args:
        scores: How sure each exit is, in [0, 1], [K, N].
        right: Whether each exit's class is right, bool [K, N].
        costs: Increasing, cumulative per exit, [K]. If their sums are no
            integers below 2^53, they are rounded up a little: for N images by
            less than N / 2^52 of the last one.
        work: Scores that may be looked at, about.
        values: Thresholds that are tried per exit where there are more exits
            than three.
    """
    exits, images = scores.shape
    whole, unit = _whole(costs, images)
    search = Search(scores, right, whole, images if exits <= 3 else values)
    slack, closed = 0, True
    if exits == 2:
        search.vary(search.nobody)
    elif exits == 3:
        slack = search.vary_all(work)
        closed = slack == 0
    elif exits > 3:
        search.descend()
        slack, closed = None, search.close(work)
    hits = search.best()
    return Frontier(
        hits=hits,
        costs=search.cost[hits],
        thresholds=search.thresholds(hits),
        images=images,
        unit=unit,
        slack=slack,
        closed=closed,
    )


def _whole(costs: Sequence[float], images: int) -> tuple[np.ndarray, float]:
    """Returns costs whose sums float64 holds exactly, [K], and their unit."""
    costs = np.asarray(costs)
    bits = _EXACT_BITS - images.bit_length()
    if costs.dtype.kind in "iu" and costs[-1] < 2**bits:
        return costs.astype(np.float64), 1.0
    # Multiplying by a power of two is exact.
    unit = 2.0 ** (bits - math.frexp(costs[-1])[1])
    return np.ceil(costs.astype(np.float64) * unit), unit


def between(
    thresholds: Sequence[float], scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Moves thresholds into the gaps between scores; disables idle exits.

    Each threshold lies midway between the scores of two images that it tells
    apart, so that a difference in the last bits moves neither. If it tells
    none apart, it is the lowest score. Exits at which no image stops are
    disabled. No image stops at another exit than before.

    Args:
        thresholds: Scores that suffice to leave, [K].
        scores: In [0, 1], [K, N].

    Returns:
        Thresholds, float64 [K] in [0, 1], and whether each exit is enabled,
        bool [K].
    """
    exits, images = scores.shape
    bars = np.full(exits, DISABLED_THRESHOLD)
    enabled = np.zeros(exits, dtype=bool)
    present = np.ones(images, dtype=bool)
    for exit in range(exits - 1):
        leaves = present & (scores[exit] >= thresholds[exit])
        present &= ~leaves
        if leaves.any():
            enabled[exit] = True
            bars[exit] = _middle(
                scores[exit][leaves].min(), scores[exit][present]
            )
    bars[-1], enabled[-1] = 0.0, True
    return bars, enabled


def _middle(lowest_leaving: float, staying: np.ndarray) -> float:
    if staying.size == 0:
        return lowest_leaving
    middle = (lowest_leaving + staying.max()) / 2
    # Between neighbouring floats there is no middle.
    return middle if middle > staying.max() else lowest_leaving
