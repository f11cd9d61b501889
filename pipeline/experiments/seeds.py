"""Summarizes several seeds of one experiment."""

import dataclasses
import fractions
import math
import statistics
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class OverSeeds:
    """Summarizes one number, measured once per seed.

    Attributes:
        mean: Mean over the seeds.
        lowest: Lowest value of any seed.
        highest: Highest value of any seed.
        count: Number of seeds.
    """

    mean: float
    lowest: float
    highest: float
    count: int


def over(values: Sequence[float]) -> OverSeeds:
    """Summarizes a number of every seed, at least one."""
    return OverSeeds(
        mean=statistics.fmean(values),
        lowest=min(values),
        highest=max(values),
        count=len(values),
    )


def apart(first: OverSeeds, second: OverSeeds) -> bool | None:
    """Says whether two experiments differ by more than their seeds do.

    The rule: they do if the worst seed of one is better than the best seed of
    the other, so that the ranges have nothing in common.

    Returns:
        None if one of them has a single seed: nothing is known of its spread.
    """
    if min(first.count, second.count) < 2:
        return None
    return first.lowest > second.highest or second.lowest > first.highest


def chance(first: int, second: int) -> fractions.Fraction:
    """Returns how often the rule of `apart` holds for equal experiments.

    If all seeds come from the same distribution, without ties, every order of
    the n + m values is as probable as any other, and two of the ways to choose
    which n are the first experiment's keep the ranges apart.

    Args:
        first: Number of seeds of one experiment, n.
        second: Number of seeds of the other, m.
    """
    return fractions.Fraction(2, math.comb(first + second, first))
