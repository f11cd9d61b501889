"""Searches thresholds: policies, and every change of a threshold of theirs.

It does the work behind `frontier`: sorted by score, the images that leave at an
exit come first, so running sums give hits and costs of all its thresholds.
"""

import math
from dataclasses import dataclass

import numpy as np

# Steps from the most accurate policies to the cheapest, about.
_STEPS = 32

# Passes over the exits until the first policy is the most accurate, about.
_PASSES = 3


@dataclass(frozen=True, eq=False)
class Point:
    """Holds a policy, its hits and its cost.

    Attributes:
        cuts: How many of the levels, the highest ones, suffice to leave each
            early exit, int64 [K - 1].
        hits: How many images the policy gets right.
        cost: Sum of the images' costs.
    """

    cuts: np.ndarray
    hits: float
    cost: float


class Search:
    """Keeps the cheapest policy found for each number of images that are right.

    A policy is stored as one that was varied, its origin, with another cut at
    one exit.

    Attributes:
        cost: The lowest sum of costs found for each number, float64 [N + 1].
        nobody: The policy that lets no image leave early.
    """

    def __init__(
        self,
        scores: np.ndarray,
        right: np.ndarray,
        costs: np.ndarray,
        values: int,
    ):
        exits, images = scores.shape
        self._right = right.astype(np.float64)
        self._costs = costs
        self._levels, self._ranks = [], []
        for each in scores[:-1]:
            levels, ranks = _ranked(each, values)
            self._levels.append(levels)
            self._ranks.append(ranks)
        self._looked_at = 0
        self.cost = np.full(images + 1, np.inf)
        self._origin = np.zeros(images + 1, np.int64)
        self._exit = np.zeros(images + 1, np.int64)
        self._cut = np.zeros(images + 1, np.int64)
        self.nobody = Point(
            np.zeros(exits - 1, np.int64),
            self._right[-1].sum(),
            images * costs[-1],
        )
        self._origins = [self.nobody.cuts]
        self.cost[int(self.nobody.hits)] = self.nobody.cost

    def best(self) -> np.ndarray:
        """Returns the numbers for which no greater one costs as little."""
        lowest = np.minimum.accumulate(self.cost[::-1])[::-1]
        return np.flatnonzero(lowest < np.append(lowest[1:], np.inf))

    def thresholds(self, hits: np.ndarray) -> np.ndarray:
        """Returns the scores that suffice to leave, [P, K], for numbers [P]."""
        found = np.zeros((hits.size, len(self._costs)))
        for exit, cuts in enumerate(self._cuts(hits).T):
            found[:, exit] = self._levels[exit][cuts]
        return found

    def vary_all(self, work: int) -> int:
        """Tries the thresholds of three exits; returns the slack.

        At the first exit those matter that are just above a wrong answer:
        letting a right one leave as well costs less and loses nothing. If only
        every n-th of these is tried, the next one that is tried costs less and
        loses fewer than n right answers.
        """
        right = self._right[-1]
        price = np.full(right.size, self._costs[-1])
        gained, spent = self._sums(0, np.arange(right.size), right, price)
        wrong = np.sort(self._ranks[0][self._right[0] == 0.0])
        step = max(1, math.ceil(wrong.size * right.size / work))
        cuts = np.unique(wrong[step - 1 :: step])
        for cut in (*cuts, len(self._levels[0]) - 1):
            point = Point(
                np.array([cut, 0]),
                self.nobody.hits + gained[cut],
                self.nobody.cost + spent[cut],
            )
            passed = np.flatnonzero(self._ranks[0] >= cut)
            sums = self._sums(1, passed, right, price)
            self._record(self._add(point), 1, *_moved(point, *sums, 0))
        return step - 1

    def descend(self) -> None:
        """Goes from the most accurate policies to the cheapest one.

        Each step is taken at the rate of exchange, right answers for a cost,
        at which the best policy known that costs a step less is worth as much:
        at this rate one exit after the other takes its best threshold. Where
        that saves little, the step leads to the known policy.
        """
        images = self._right.shape[1]
        point = self.nobody
        cheapest = images * self._costs[0]
        # One right answer is worth the whole range of all costs.
        lowest = 1.0 / (images * (self._costs[-1] - self._costs[0]))
        for _ in range(_PASSES):
            point = self.vary(point, lowest)
        step = (point.cost - cheapest) / _STEPS
        while point.cost > cheapest:
            known = self.best()
            affordable = self.cost[known] <= max(point.cost - step, cheapest)
            target = self._point(known[np.flatnonzero(affordable)[-1]])
            moved = target
            if target.hits < point.hits:
                rate = (point.hits - target.hits) / (point.cost - target.cost)
                moved = self.vary(point, rate)
            saves = moved.cost <= point.cost - step / 2
            point = moved if saves else target

    def close(self, work: int) -> bool:
        """Varies the policies on the frontier; returns whether none is left.

        The next one is always that which is farthest in cost from any that
        was varied.
        """
        varied = np.full_like(self.cost, np.inf)
        while True:
            hits = self.best()
            costs = self.cost[hits]
            done = np.flatnonzero(varied[hits] == costs)
            if done.size == hits.size:
                return True
            if self._looked_at >= work:
                return False
            known = np.concatenate([[-np.inf], costs[done], [np.inf]])
            after = np.searchsorted(done, np.arange(hits.size))
            distances = np.minimum(
                costs - known[after], known[after + 1] - costs
            )
            distances[done] = -1.0
            chosen = hits[distances.argmax()]
            varied[chosen] = self.cost[chosen]
            self.vary(self._point(chosen))

    def vary(self, point: Point, rate: float | None = None) -> Point:
        """Records hits and cost of every other cut at each single exit.

        Args:
            point: The policy to vary.
            rate: If given, each exit, from the deepest on, takes the cut that
                is best at this rate before the next one is varied.

        Returns:
            The policy as the rate has changed it.
        """
        last = len(self._costs) - 1
        # Taking places is several times faster than masks are.
        arrives = [np.arange(self._right.shape[1])]
        for ranks, cut in zip(self._ranks, point.cuts, strict=True):
            passed = np.flatnonzero(ranks.take(arrives[-1]) >= cut)
            arrives.append(arrives[-1].take(passed))
        # What becomes of an image that passes the exit.
        right = self._right[last].copy()
        price = np.full(right.size, self._costs[last])
        origin = self._add(point)
        for exit in reversed(range(last)):
            sums = self._sums(exit, arrives[exit], right, price)
            hits, cost = _moved(point, *sums, point.cuts[exit])
            self._record(origin, exit, hits, cost)
            if rate is not None:
                worth = hits - rate * cost
                cut = worth.argmax()
                if worth[cut] > worth[point.cuts[exit]]:
                    cuts = point.cuts.copy()
                    cuts[exit] = cut
                    point = Point(cuts, hits[cut], cost[cut])
                    origin = self._add(point)
            leaves = np.flatnonzero(self._ranks[exit] < point.cuts[exit])
            right[leaves] = self._right[exit].take(leaves)
            price[leaves] = self._costs[exit]
        return point

    def _cuts(self, hits: np.ndarray) -> np.ndarray:
        origins = [self._origins[each] for each in self._origin[hits]]
        cuts = np.array(origins)
        if cuts.size:  # Not with a single exit.
            cuts[np.arange(hits.size), self._exit[hits]] = self._cut[hits]
        return cuts

    def _point(self, hits: int) -> Point:
        (cuts,) = self._cuts(np.array([hits]))
        return Point(cuts, float(hits), self.cost[hits])

    def _add(self, point: Point) -> int:
        self._origins.append(point.cuts)
        return len(self._origins) - 1

    def _sums(
        self,
        exit: int,
        arrives: np.ndarray,
        right: np.ndarray,
        price: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the changes that cuts of 0, 1, ... make against a cut of 0.

        Args:
            exit: The exit whose cuts are compared.
            arrives: Which images get there, integers [A].
            right: Whether each image is right if it passes the exit, [N].
            price: The cost of each image if it passes the exit, [N].

        Returns:
            Images right, and costs, for each cut.
        """
        self._looked_at += right.size
        size = len(self._levels[exit])
        sums = np.zeros((2, size))
        ranks = self._ranks[exit].take(arrives)
        amounts = (
            self._right[exit].take(arrives) - right.take(arrives),
            self._costs[exit] - price.take(arrives),
        )
        for each, amount in zip(sums, amounts, strict=True):
            counts = np.bincount(ranks, amount, size - 1)
            counts.cumsum(out=each[1:])
        return sums[0], sums[1]

    def _record(
        self, origin: int, exit: int, hits: np.ndarray, cost: np.ndarray
    ) -> None:
        """Keeps the cuts of one exit that are the cheapest for their hits.

        The cost never rises from one cut to the next: only cuts after which
        the next one loses right answers can be on the frontier.
        """
        cuts = np.flatnonzero(np.append(hits[1:] < hits[:-1], True))
        places = hits[cuts].astype(np.int64)
        cheaper = cost[cuts] < self.cost[places]
        cuts, places = cuts[cheaper], places[cheaper]
        # Of several assignments to one place the last counts, the cheapest.
        self.cost[places] = cost[cuts]
        self._origin[places] = origin
        self._exit[places] = exit
        self._cut[places] = cuts


def _moved(
    point: Point, gained: np.ndarray, spent: np.ndarray, cut: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns hits and cost for every cut, from changes and the present cut."""
    return (
        point.hits + (gained - gained[cut]),
        point.cost + (spent - spent[cut]),
    )


def _ranked(scores: np.ndarray, values: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the scores that may be thresholds, and the images' ranks.

    Args:
        scores: Scores of one exit, [N].
        values: How many levels there may be; of more scores, some with equally
            many images between them.

    Returns:
        Infinity and the levels from the highest to the lowest, [L + 1]; and
        how many levels lie above each image's score, int64 [N].
    """
    levels = np.unique(scores)
    if levels.size > values:
        places = np.linspace(0, scores.size - 1, values).round().astype(int)
        levels = np.unique(np.sort(scores)[places])
    ranks = levels.size - np.searchsorted(levels, scores, side="right")
    return np.append(np.inf, levels[::-1]), ranks
