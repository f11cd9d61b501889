"""Computes the curves of early-exit papers: accuracy against cost.

Anytime: every image stops at the same exit, for each exit in turn. Budgeted
batch: thresholds from a calibration split give each exit its share of images,
for 39 sets of shares (the evaluation code of MSDNet, RANet and BoostNet).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamic.exits.decision import checks, confidence
from keras_dynamic.exits.decision.outcome import correct
from keras_dynamic.exits.fitting.exit_shares import exit_shares, thresholds

# The released code sweeps q = p / 20 over p = 1 .. 39.
Q = tuple(p / 20 for p in range(1, 40))


@dataclass(frozen=True, eq=False)
class Answers:
    """Holds the answers of every exit to N images.

    Attributes:
        confidences: In [0, 1], float64 [K, N].
        right: Whether the top class is the label, bool [K, N].
    """

    confidences: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Curve:
    """Holds cost and accuracy of P ways to use a model.

    Attributes:
        targets: Numbers that tell the ways apart, exits or values of q, [P].
        costs: Mean cost per image, in the unit of the exits' costs, [P].
        accuracies: Share of right answers, [P].

    Raises:
        ValueError: If there is no point, or not one of each per point.
    """

    targets: tuple[float, ...]
    costs: tuple[float, ...]
    accuracies: tuple[float, ...]

    def __post_init__(self):
        lengths = [
            len(each) for each in (self.targets, self.costs, self.accuracies)
        ]
        if len(set(lengths)) != 1 or 0 in lengths:
            raise ValueError(
                "`targets`, `costs` and `accuracies` must be equally long and "
                f"hold at least one point. Received: lengths {lengths}"
            )

    def take(self, indices: Sequence[int]) -> "Curve":
        """Returns the curve of some of the points, in the order given."""
        return Curve(
            *(
                tuple(values[index] for index in indices)
                for values in (self.targets, self.costs, self.accuracies)
            )
        )


def answers(
    logits: Sequence[np.ndarray],
    labels: np.ndarray,
    temperatures: Sequence[float] | None = None,
) -> Answers:
    """Returns the exits' answers, from their logits.

    Args:
        logits: One [N, C] array per exit, shallow to deep.
        labels: Classes, integers [N] in [0, C).
        temperatures: One per exit, [K]; None is 1, as in the papers.

    Raises:
        ValueError: If an argument is not as said.
    """
    exits = len(logits)
    if temperatures is None:
        temperatures = (1.0,) * exits
    return Answers(
        confidence.confidences(logits, temperatures),
        correct(logits, labels, exits),
    )


def anytime(found: Answers, costs: Sequence[float]) -> Curve:
    """Returns each exit's accuracy at its cost; a point per exit.

    Args:
        found: The exits' answers.
        costs: Increasing numbers of at least 0, cumulative per exit, [K].

    Raises:
        ValueError: If the costs are not as said.
    """
    costs = _exit_costs(costs, found)
    return Curve(
        targets=tuple(range(len(costs))),
        costs=tuple(map(float, costs)),
        accuracies=tuple(found.right.mean(axis=1).tolist()),
    )


def budgeted(
    calibration: Answers,
    test: Answers,
    costs: Sequence[float],
    qs: Sequence[float] = Q,
) -> tuple[Curve, Curve]:
    """Returns the budgeted-batch curve on both splits, a point per q.

    Thresholds come from the calibration split alone, by `exit_shares` and
    `thresholds`, so only the curve on the test split is a measurement. A choice
    among points, as by `envelope`, may look at the other one.

    Args:
        calibration: The exits' answers to the images to fit thresholds on.
        test: The exits' answers to the other images.
        costs: Increasing numbers of at least 0, cumulative per exit, [K].
        qs: Finite positive numbers, each of which sets the shares of images
            that leave at the exits.

    Returns:
        The curves on the calibration and on the test split.

    Raises:
        ValueError: If an argument is not as said.
    """
    costs = _exit_costs(costs, test)
    points = []
    for q in qs:
        shares = exit_shares(q, len(costs))
        bars, enabled = thresholds(calibration.confidences, shares)
        bars = np.where(enabled, bars, np.inf)
        points.append(
            [_stopped(each, bars, costs) for each in (calibration, test)]
        )
    return tuple(
        Curve(tuple(qs), *zip(*split, strict=True))
        for split in zip(*points, strict=True)
    )


def _exit_costs(costs: Sequence[float], found: Answers) -> np.ndarray:
    costs = checks.exit_costs(costs, costs)
    if len(costs) != len(found.right):
        raise ValueError(
            f"`costs` must hold one per exit, {len(found.right)} in all. "
            f"Received: {len(costs)}"
        )
    return costs


def _stopped(
    found: Answers, bars: np.ndarray, costs: np.ndarray
) -> tuple[float, float]:
    """Returns mean cost and accuracy if images stop at the first bar reached.

    It only counts, exit by exit: a sweep over 100,000 images gathers nothing.
    """
    present = np.ones(found.right.shape[1], dtype=bool)
    cost = hits = 0
    for exit, price in enumerate(costs.tolist()):
        leaves = present & (found.confidences[exit] >= bars[exit])
        present &= ~leaves
        cost += price * np.count_nonzero(leaves)
        hits += np.count_nonzero(leaves & found.right[exit])
    return cost / present.size, hits / present.size


def closed(curve: Curve, exits: Curve) -> Curve:
    """Returns a budgeted curve with the ends that it tends to.

    As q goes to 0 all images leave at the first exit, and as it grows all go
    to the last.

    Args:
        curve: The budgeted curve.
        exits: The anytime curve of the same model on the same images.
    """
    first, last = exits.take([0]), exits.take([-1])
    return Curve(
        (0.0, *curve.targets, float("inf")),
        first.costs + curve.costs + last.costs,
        first.accuracies + curve.accuracies + last.accuracies,
    )


def area(
    curve: Curve, low: float | None = None, high: float | None = None
) -> float:
    """Returns the mean accuracy over all costs from `low` to `high`.

    It is the integral of accuracy over cost, divided by the length of the
    range. Costs are taken as they are, not their logarithms: budgets spread
    evenly over the range count alike, and the unit of cost cancels out. Between
    two neighbouring points accuracy is interpolated linearly, as a random mix
    of the two gives it. Points of equal cost count with their mean.
    The papers report curves only; this number is ours. It can be compared
    between models only over a range that all of them cover. Over a range of
    a single cost, all that a model with one exit has, it is the accuracy there.

    Args:
        curve: Points in any order.
        low: At least the lowest cost of the curve, which is the default.
        high: At most the highest cost of the curve, which is the default.

    Returns:
        A fraction in [0, 1].

    Raises:
        ValueError: If the curve does not cover the range.
    """
    costs, place = np.unique(curve.costs, return_inverse=True)
    accuracies = np.bincount(place, curve.accuracies) / np.bincount(place)
    low = costs[0] if low is None else low
    high = costs[-1] if high is None else high
    if not costs[0] <= low <= high <= costs[-1]:
        raise ValueError(
            "`low` and `high` must lie in the range of the curve, "
            f"{costs[0]:g} to {costs[-1]:g}. Received: {low:g} and {high:g}"
        )
    if low == high:
        return float(np.interp(low, costs, accuracies))
    inside = costs[(costs > low) & (costs < high)]
    ends = np.concatenate([[low], inside, [high]])
    heights = np.interp(ends, costs, accuracies)
    return float(np.trapezoid(heights, ends) / (high - low))


def envelope(curve: Curve) -> list[int]:
    """Returns the points that are more accurate than all that cost no more.

    The rest is never worth its cost. Choose on the calibration curve, and take
    these points of the test curve: choosing on the test curve itself would
    flatter it. For one model this is the `--flat_curve` of the papers' code,
    which keeps the previous best where validation accuracy does not grow with
    the budget; for the points of several models it is the curve of the best of
    them.

    Args:
        curve: Points in any order; of equal ones the first counts.

    Returns:
        Indices, by increasing cost.
    """
    order = np.lexsort((-np.array(curve.accuracies), np.array(curve.costs)))
    chosen, best = [], -np.inf
    for index in order.tolist():
        if curve.accuracies[index] > best:
            best = curve.accuracies[index]
            chosen.append(index)
    return chosen
