"""Thresholds for an accuracy: the lowest cost that keeps what is asked for."""

from collections.abc import Sequence

import numpy as np

from keras_dynamic.exits import confidence, inputs, policy
from keras_dynamic.exits.outcome import correct


def lowest_cost_policy(
    logits: Sequence[np.ndarray],
    labels: np.ndarray,
    costs: Sequence[int],
    temperatures: Sequence[float],
    max_drop: float,
) -> policy.Policy:
    """Finds the cheapest policy that loses at most `max_drop` of accuracy.

    On the images given, and only there (accuracy on others is not promised):

    - accuracy >= the last exit's accuracy - max_drop, as float64 numbers;
    - for up to three exits no thresholds are cheaper;
    - for more, no change of a single threshold is cheaper;
    - a larger `max_drop` never costs more.

    The method is ours (see `_Frontier`); the papers fix shares or search a
    grid. Its time grows with N^2 and, beyond three exits, with `max_drop`.

    Each threshold lies midway between the confidences of two
    images that it tells apart, so that a difference in the last bits moves
    neither. If it tells none apart, it is the lowest confidence.

    An image that stops at exit k costs `costs[k]`, also behind disabled exits:
    their segments run all the same. Only exits at which no image stops are
    disabled, because disabling any other would send its images to a deeper,
    dearer one.

    Args:
        logits: One [N, C] array per exit, shallow to deep.
        labels: Classes, integers [N] in [0, C).
        costs: Increasing integers, cumulative per exit, [K]; multiply-adds.
        temperatures: One per exit, [K].
        max_drop: A fraction in [0, 1]; 0.005 is half a percentage point.

    Raises:
        ValueError: If an argument is not as said.
    """
    costs = inputs.exit_costs(costs, temperatures)
    if not 0.0 <= max_drop <= 1.0:
        raise ValueError(
            f"`max_drop` must be a fraction in [0, 1]. Received: {max_drop}"
        )
    sure = confidence.confidences(logits, temperatures)
    right = correct(logits, labels, len(costs))
    images = right.shape[1]
    accuracies = np.arange(images + 1) / images
    required = np.argmax(accuracies >= right[-1].mean() - max_drop)

    frontier = _Frontier(sure, right, costs, required)
    if len(costs) <= 3:
        frontier.search_all()
    else:
        frontier.search_down()
    return _policy(frontier.cheapest(), sure, temperatures)


class _Frontier:
    """The cheapest thresholds found for each number of correct images.

    Thresholds [K] are confidences that suffice to leave; infinity lets nobody
    leave. Numbers of correct images ("hits") and sums of costs are integers,
    hence exact.
    """

    def __init__(
        self,
        sure: np.ndarray,
        right: np.ndarray,
        costs: np.ndarray,
        required: int,
    ):
        exits, images = sure.shape
        self._sure = sure
        self._right = right.astype(np.int64)
        self._costs = costs.astype(np.int64)
        self._required = required
        self._surest_first = np.argsort(-sure, axis=1)
        ranked = np.take_along_axis(sure, self._surest_first, axis=1)
        self._candidates = np.insert(ranked, 0, np.inf, axis=1)
        # Equal confidences leave together: the last one of them decides.
        self._whole = np.diff(self._candidates, append=-np.inf) < 0.0
        self._never = np.append(np.full(exits - 1, np.inf), 0.0)
        self._cost = np.full(images + 1, np.iinfo(np.int64).max)
        self._thresholds = np.empty((images + 1, exits))
        hits = self._right[-1].sum()
        self._cost[hits] = images * self._costs[-1]
        self._thresholds[hits] = self._never

    def search_all(self) -> None:
        """Tries all the thresholds of up to three exits.

        Of the first of three exits only those just above a wrong answer
        matter: letting a right one leave as well costs less and loses nothing.
        """
        thresholds = self._never.copy()
        if thresholds.size == 3:
            levels = np.append(np.unique(self._sure[0]), np.inf)
            wrong = np.unique(self._sure[0, self._right[0] == 0])
            above = np.searchsorted(levels, wrong, side="right")
            for threshold in (*levels[above], levels[0]):
                thresholds[0] = threshold
                self._vary(thresholds, shallowest=1)
        else:
            self._vary(thresholds)

    def search_down(self) -> None:
        """Follows the frontier down from the most hits to the required number.

        The next thresholds to vary are always those with the most hits that
        are new and that nothing found beats in both hits and cost. The way
        down does not depend on where it ends, so asking for fewer hits never
        costs more.
        """
        varied = np.full_like(self._cost, np.iinfo(np.int64).max)
        while True:
            lowest = np.minimum.accumulate(self._cost[::-1])[::-1]
            new = (self._cost == lowest) & (self._cost < varied)
            if not new.any():
                return
            hits = np.flatnonzero(new)[-1]
            varied[hits] = self._cost[hits]
            self._vary(self._thresholds[hits].copy())

    def cheapest(self) -> np.ndarray:
        """Returns the cheapest thresholds; of several, the most accurate."""
        return self._thresholds[::-1][np.argmin(self._cost[::-1])]

    def _vary(self, thresholds: np.ndarray, shallowest: int = 0) -> None:
        """Records what every other threshold of each single exit would give.

        Sorted by confidence, the images that leave at an exit come first:
        running sums give the results of all its thresholds at once.
        """
        last = self._costs.size - 1
        leaves = self._sure >= thresholds[:, np.newaxis]
        numbers = np.arange(last + 1)[:, np.newaxis]
        taken = np.where(leaves, numbers, last).min(axis=0)
        hits = self._right[taken, np.arange(taken.size)].sum()
        cost = self._costs[taken].sum()
        # What becomes of an image that passes the exit.
        right, price = self._right[last], self._costs[last]
        for exit in reversed(range(shallowest, last)):
            here, fee = self._right[exit], self._costs[exit]
            arrives = taken >= exit
            gained = self._running(exit, (here - right) * arrives)
            spent = self._running(exit, (fee - price) * arrives)
            now = np.count_nonzero(leaves[exit])
            self._record(
                thresholds,
                exit,
                hits + gained - gained[now],
                cost + spent - spent[now],
            )
            right = np.where(leaves[exit], here, right)
            price = np.where(leaves[exit], fee, price)

    def _running(self, exit: int, amounts: np.ndarray) -> np.ndarray:
        """Sums amounts [N] over the 0, 1, ..., N images surest at an exit."""
        sums = np.zeros(amounts.size + 1, amounts.dtype)
        amounts.take(self._surest_first[exit]).cumsum(out=sums[1:])
        return sums

    def _record(
        self,
        thresholds: np.ndarray,
        exit: int,
        hits: np.ndarray,
        cost: np.ndarray,
    ) -> None:
        """Keeps the candidates for one exit's threshold that are cheaper."""
        kept = np.flatnonzero(
            self._whole[exit]
            & (hits >= self._required)
            & (cost < self._cost[hits])
        )
        # The cost never rises from one candidate to the next, and of several
        # assignments to one place the last counts.
        self._cost[hits[kept]] = cost[kept]
        self._thresholds[hits[kept]] = thresholds
        self._thresholds[hits[kept], exit] = self._candidates[exit, kept]


def _policy(
    thresholds: np.ndarray, sure: np.ndarray, temperatures: Sequence[float]
) -> policy.Policy:
    """Moves thresholds into the gaps; disables exits where no image stops."""
    exits, images = sure.shape
    bars = np.full(exits, policy.DISABLED_THRESHOLD)
    enabled = np.zeros(exits, dtype=bool)
    present = np.ones(images, dtype=bool)
    for exit in range(exits - 1):
        leaves = present & (sure[exit] >= thresholds[exit])
        present &= ~leaves
        if leaves.any():
            enabled[exit] = True
            bars[exit] = _between(sure[exit][leaves].min(), sure[exit][present])
    bars[-1], enabled[-1] = 0.0, True
    return policy.Policy(
        temperatures=tuple(temperatures),
        thresholds=tuple(bars),
        enabled=tuple(enabled),
    )


def _between(lowest_leaving: float, staying: np.ndarray) -> float:
    if staying.size == 0:
        return lowest_leaving
    middle = (lowest_leaving + staying.max()) / 2
    # Between neighbouring floats there is no middle.
    return middle if middle > staying.max() else lowest_leaving
