"""Makes the policies between which the sliders of the report move."""

import dataclasses
import decimal
from collections.abc import Sequence

import numpy as np

from keras_dynamic import exits
from pipeline.results.predictions import Predictions

# Of thresholds and of budgets.
_THRESHOLDS, _BUDGETS = 201, 101
# From every image to the first exit to every image to the last.
_Q = [2.0**-64, *2.0 ** np.linspace(-6, 6, 193), 2.0**64]


def same_threshold(
    policy: exits.Policy, scores: np.ndarray
) -> list[exits.Policy]:
    """Returns policies with one threshold for all exits, rising.

    They lie where the scores do, so that each step moves about as many images.

    Args:
        policy: Policy of which they keep all other settings.
        scores: Scores of some images, from `policy.scores`, [K, N].
    """
    early = policy.exits - 1
    places = np.linspace(0.0, 1.0, _THRESHOLDS)
    found = np.quantile(scores[:-1], places, method="inverted_cdf")
    found = sorted({0.0, *map(_short, found.tolist())})
    return [
        dataclasses.replace(
            policy,
            thresholds=(threshold,) * early + (0.0,),
            enabled=(True,) * policy.exits,
            fitted={"rule": "same_threshold"},
        )
        for threshold in found
    ]


def within_budget(
    policy: exits.Policy, calibration: Predictions, costs: Sequence[float]
) -> list[exits.Policy]:
    """Returns policies for budgets from the first exit's cost to the last's.

    Each is the papers' rule on the calibration images, see
    `exits.budgeted_batch`, with the largest of some q that costs no more than
    the budget there; its `fitted` has both.

    Args:
        policy: Policy of which they keep kind, temperatures and scheduler.
        calibration: Images that neither training nor testing saw.
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
        taken = each.stops(images.scores)
        tried.append((float(np.take(costs, taken).mean()), each))
    found = []
    for budget in np.linspace(costs[0], costs[-1], _BUDGETS).tolist():
        affordable = [each for cost, each in tried if cost <= budget]
        # The first stops all at the first exit; a mean of its costs may round.
        best = affordable[-1] if affordable else tried[0][1]
        fitted = {**best.fitted, "budget": budget}
        found.append(dataclasses.replace(best, fitted=fitted))
    return found


def _short(threshold: float) -> float:
    """Rounds the difference to 1 to three digits: 0.9998766 is 0.999877."""
    missing = decimal.Decimal(f"{1.0 - threshold:.3g}")
    return min(max(float(1 - missing), 0.0), 1.0)
