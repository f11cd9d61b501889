"""Thresholds for a budget, by the rule of the papers.

A fixed share of the images is to leave at each exit, and each threshold
follows from the images that are still there. This is the evaluation code that
MSDNet (Huang et al. 2018), RANet (Yang et al. 2020), BoostNet (Yu et al. 2023)
and others released ("budgeted batch classification").
"""

import math
from collections.abc import Sequence

import numpy as np

from keras_dynamic.exits.decision import checks, kinds
from keras_dynamic.exits.decision.outcome import mean_cost
from keras_dynamic.exits.decision.policy import (
    DISABLED_THRESHOLD,
    Policy,
    first_exits,
)
from keras_dynamic.exits.decision.scheduler import Scheduler
from keras_dynamic.exits.fitting import calibration
from keras_dynamic.exits.fitting.calibration import Scored
from keras_dynamic.exits.fitting.cost_budget import BudgetPolicy, check_budget

# A q of 2^-64 sends all images to the first exit, 2^64 to the last.
_LARGEST_POWER = 64.0
_HALVINGS = 48


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
    shares = _checked(shares, exits)
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


def budgeted_policy(
    logits: Sequence[np.ndarray],
    temperatures: Sequence[float],
    shares: Sequence[float],
    *,
    kind: str = kinds.KINDS[0],
    scheduler: Scheduler | None = None,
) -> Policy:
    """Returns the policy whose thresholds give these images those shares.

    Args:
        logits: One [N, C] array per exit, shallow to deep; C at least 2.
        temperatures: One per exit, [K]; the papers use 1.
        shares: As from `exit_shares`, [K].
        kind: One of `kind.KINDS`; the papers use "max_probability".
        scheduler: For the kind "scheduler".

    Raises:
        ValueError: If an argument is not as said.
    """
    scored = calibration.score(
        logits, temperatures, kind=kind, scheduler=scheduler
    )
    return scored.policy(
        *thresholds(scored.scores, shares), rule="budgeted_batch"
    )


def shares_within_budget(
    scored: Scored,
    costs: Sequence[float],
    budget: float,
    shares: Sequence[float] | None = None,
) -> BudgetPolicy:
    """Lets images go as far, in the papers' family, as a budget pays for.

    The family is that of `exit_shares`: q is found by bisection, such that
    these images cost at most the budget with it and more with a q larger by
    one part in 10^12. It needs no labels, and so promises no accuracy:
    `cost_budget.budget_policy` does. As a rule a larger q costs more; ties
    among the confidences, and shares rounded down to whole images, can make
    exceptions of a few images, but the budget is kept.

    Args:
        scored: The images, from `calibration.score` or `calibrate`.
        costs: Increasing, cumulative per exit, [K]: multiply-adds, or measured
            milliseconds.
        budget: The highest mean cost of an image, in the unit of the costs.
        shares: What to multiply by q^k, positive numbers [K] that sum to 1;
            by default all are equal, as in the papers.

    Returns:
        The policy; its `fitted` has the q.

    Raises:
        ValueError: If an argument is not as said, or the budget is below the
            cost of the first exit.
    """
    costs = checks.exit_costs(costs, scored.temperatures)
    status = check_budget(budget, costs)
    base = np.ones(costs.size)
    if shares is not None:
        base = _checked(shares, costs.size)
        if not base.all():
            raise ValueError(f"`shares` must be positive. Received: {base}")

    def attempt(power: float) -> tuple[np.ndarray, np.ndarray, float]:
        bars, enabled = thresholds(scored.scores, tilted(base, 2.0**power))
        reached = np.where(enabled, bars, math.inf)
        taken = first_exits(scored.scores, reached)
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
    fitted = scored.policy(
        bars,
        enabled,
        rule="budgeted_batch",
        budget=budget,
        q=2.0**power,
        status=status,
        mean_cost=cost,
    )
    return BudgetPolicy(policy=fitted, status=status, mean_cost=cost)


def _checked(shares: Sequence[float], exits: int) -> np.ndarray:
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
