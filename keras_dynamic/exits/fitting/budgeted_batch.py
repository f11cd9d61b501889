"""Fits thresholds to shares of the images, by the rule of the papers.

A fixed share of the images is to leave at each exit, and the module
`exit_shares` finds each threshold from the images that are still there.
"""

import math
from collections.abc import Sequence

import numpy as np

from keras_dynamic.exits.decision.outcome import mean_cost
from keras_dynamic.exits.decision.policy import first_exits
from keras_dynamic.exits.fitting.calibration import Calibration
from keras_dynamic.exits.fitting.cost_budget import check_budget
from keras_dynamic.exits.fitting.exit_shares import (
    checked_shares,
    exit_shares,
    thresholds,
    tilted,
)
from keras_dynamic.exits.fitting.fitted import Fitted
from keras_dynamic.exits.fitting.rule import Rule

# A q of 2^-64 sends all images to the first exit, 2^64 to the last.
_LARGEST_POWER = 64.0
_HALVINGS = 48


def budgeted_batch(
    images: Calibration,
    *,
    q: float | None = None,
    budget: float | None = None,
) -> Fitted:
    """Fits thresholds by which the share of `exit_shares` leaves at each exit.

    Labels play no part, so no accuracy is promised; `cost_budget` promises one.

    Args:
        images: The images, from `calibrate`.
        q: Number such that the share of exit k is proportional to q^k.
        budget: The highest mean cost of an image, in the unit of the costs:
            `within_budget` then finds q. One of the two is given.

    Raises:
        ValueError: If an argument is not as said, or the budget is below the
            cost of the first exit.
    """
    if (q is None) == (budget is None):
        raise ValueError(
            f"One of `q` and `budget` must be given. Received: {q} and {budget}"
        )
    if budget is not None:
        return within_budget(images, budget, rule=RULE.name)
    shares = exit_shares(q, len(images.costs))
    return images.fitted(
        *thresholds(images.scores, shares), rule=RULE.name, q=q
    )


def within_budget(
    images: Calibration,
    budget: float,
    shares: Sequence[float] | None = None,
    *,
    rule: str,
) -> Fitted:
    """Lets images go as far, in a family of shares, as a budget pays for.

    The family is some shares times q^k: q is found by bisection, such that
    these images cost at most the budget with it and more with a q larger by
    one part in 10^12. As a rule a larger q costs more; ties among the
    confidences, and shares rounded down to whole images, can make exceptions
    of a few images, but the budget is kept.

    Args:
        images: The images.
        budget: The highest mean cost of an image, in the unit of the costs.
        shares: Positive numbers [K] that sum to 1; by default all are equal,
            as in the papers.
        rule: The name of the rule that asks.

    Returns:
        The policy; its facts hold the q.

    Raises:
        ValueError: If an argument is not as said, or the budget is below the
            cost of the first exit.
    """
    costs = images.costs
    status = check_budget(budget, costs)
    base = np.ones(costs.size)
    if shares is not None:
        base = checked_shares(shares, costs.size)
        if not base.all():
            raise ValueError(f"`shares` must be positive. Received: {base}")

    def attempt(power: float) -> tuple[np.ndarray, np.ndarray, float]:
        bars, enabled = thresholds(images.scores, tilted(base, 2.0**power))
        reached = np.where(enabled, bars, math.inf)
        taken = first_exits(images.scores, reached)
        return bars, enabled, mean_cost(taken, costs)

    low, high = -_LARGEST_POWER, _LARGEST_POWER
    power = high if status == "last_exit_affordable" else low
    bars, enabled, cost = attempt(power)
    for _ in range(_HALVINGS if power == low else 0):
        middle = (low + high) / 2
        found = attempt(middle)
        if found[-1] <= budget:
            low = power = middle
            bars, enabled, cost = found
        else:
            high = middle
    return images.fitted(
        bars,
        enabled,
        rule=rule,
        budget=budget,
        q=2.0**power,
        status=status,
        mean_cost=cost,
    )


RULE = Rule(
    fit=budgeted_batch,
    settings=("q", "budget"),
    here="shares of images; with a budget: costs no more",
)
