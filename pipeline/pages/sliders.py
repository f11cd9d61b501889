"""Makes the policies between which the sliders of the report move."""

import dataclasses
import decimal
from collections.abc import Sequence

import numpy as np

from keras_dynamic import exits
from pipeline.results.predictions import Predictions

# Positions of a slider, at most, and how many thresholds are tried for them.
_POSITIONS, _TRIED = 201, 1001
# From every image to the first exit to every image to the last.
_Q = [2.0**-64, *2.0 ** np.linspace(-6, 6, 193), 2.0**64]


def same_threshold(
    policy: exits.Policy, scores: np.ndarray, costs: Sequence[float]
) -> list[exits.Policy]:
    """Returns policies with one threshold for all exits, rising.

    Args:
        policy: Policy of which they keep all other settings.
        scores: Scores of some images, from `policy.scores`, [K, N]. Each of
            the policies routes them otherwise than the one before it.
        costs: Increasing costs, cumulative per exit, [K].
    """
    early = policy.exits - 1
    places = np.linspace(0.0, 1.0, _TRIED)
    found = np.quantile(scores[:-1], places, method="inverted_cdf")
    tried = []
    for threshold in sorted({0.0, *map(_short, found.tolist())}):
        each = dataclasses.replace(
            policy,
            thresholds=(threshold,) * early + (0.0,),
            enabled=(True,) * policy.exits,
            fitted={"rule": "same_threshold"},
        )
        tried.append((_mean_cost(each, scores, costs), each))
    chosen = [_dearest(tried, budget) for budget in _budgets(costs)]
    return _different([*chosen, tried[-1][1]], scores)


def within_budget(
    policy: exits.Policy,
    calibration: Predictions,
    scores: np.ndarray,
    costs: Sequence[float],
) -> list[exits.Policy]:
    """Returns policies for budgets from the first exit's cost to the last's.

    Each is the papers' rule on the calibration images, see
    `exits.budgeted_batch`, with the largest of some q that costs no more than
    the budget there; its `fitted` has both.

    Args:
        policy: Policy of which they keep kind, temperatures and scheduler.
        calibration: Images that neither training nor testing saw.
        scores: Scores of some images, from `policy.scores`, [K, N]. Each of
            the policies routes them otherwise than the one before it.
        costs: Increasing costs, cumulative per exit, [K].
    """
    images = exits.calibrate(
        calibration.logits,
        calibration.labels,
        costs,
        policy.temperatures,
        kind=policy.kind,
        scheduler=policy.scheduler,
    )
    tried = []
    for q in _Q:
        each = exits.budgeted_batch(images, q=q).policy
        tried.append((_mean_cost(each, images.scores, costs), each))
    found = []
    for budget in _budgets(costs):
        best = _dearest(tried, budget)
        fitted = {**best.fitted, "budget": budget}
        found.append(dataclasses.replace(best, fitted=fitted))
    return _different(found, scores)


def _budgets(costs: Sequence[float]) -> list[float]:
    """Returns budgets in equal ratios.

    Most answers change where little is spent, and there the steps are small.
    """
    return np.geomspace(costs[0], costs[-1], _POSITIONS).tolist()


def _mean_cost(policy, scores, costs) -> float:
    return float(np.take(costs, policy.stops(scores)).mean())


def _dearest(tried, budget) -> exits.Policy:
    """Returns the last policy that costs no more than a budget."""
    affordable = [each for cost, each in tried if cost <= budget]
    # The first stops all at the first exit; a mean of its costs may round.
    return affordable[-1] if affordable else tried[0][1]


def _different(policies, scores) -> list[exits.Policy]:
    """Leaves out policies that route the images as the one before does."""
    found, before = [], None
    for each in policies:
        taken = each.stops(scores).tobytes()
        if taken != before:
            found.append(each)
        before = taken
    return found


def _short(threshold: float) -> float:
    """Rounds the difference to 1 to three digits: 0.9998766 is 0.999877."""
    missing = decimal.Decimal(f"{1.0 - threshold:.3g}")
    return min(max(float(1 - missing), 0.0), 1.0)
