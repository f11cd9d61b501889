"""Thresholds for an accuracy, in the papers' family of exit shares.

The family has one parameter. So its best member for some images is nearly as
good on others, where the frontier's (`accuracy_drop`), the best of all
thresholds, loses more than it was allowed to: it was chosen from many more.
The papers tune nothing for an accuracy; this use of their family is ours.
"""

import numpy as np

from keras_dynamic.exits.decision.outcome import tally
from keras_dynamic.exits.decision.policy import Policy, first_exits
from keras_dynamic.exits.fitting import budgeted_batch
from keras_dynamic.exits.fitting.accuracy_drop import check_drop
from keras_dynamic.exits.fitting.calibration import Calibration

# q is tried from 1/16 to 16, 16 numbers to a factor of 2. With the last one no
# image leaves early.
_POWERS = (*np.arange(-64, 65) / 16, 64.0)


def shares_within_drop(calibration: Calibration, max_drop: float) -> Policy:
    """Finds the cheapest shares that lose at most `max_drop` of accuracy.

    Of the thresholds that `budgeted_batch.exit_shares` and `thresholds` give
    for some 130 numbers q, those with the lowest mean cost on these images,
    of those whose accuracy there is at least the last exit's less `max_drop`.
    A larger `max_drop` never costs more. `fitted` has the q.

    Args:
        calibration: The images.
        max_drop: A fraction in [0, 1]; 0.005 is half a percentage point.

    Raises:
        ValueError: If `max_drop` is no such number.
    """
    check_drop(max_drop)
    exits = len(calibration.costs)
    least = calibration.right[-1].mean() - max_drop
    found = []
    for power in _POWERS:
        q = float(2.0**power)
        bars, enabled = budgeted_batch.thresholds(
            calibration.scores, budgeted_batch.exit_shares(q, exits)
        )
        reached = np.where(enabled, bars, np.inf)
        taken = first_exits(calibration.scores, reached)
        got = tally(taken, calibration.right, calibration.costs)
        if got.accuracy >= least:
            found.append((got.mean_cost, q, got.accuracy, bars, enabled))
    cost, q, accuracy, bars, enabled = min(found, key=lambda each: each[:2])
    return calibration.policy(
        bars,
        enabled,
        rule="budgeted_drop",
        max_drop=max_drop,
        q=q,
        accuracy=accuracy,
        mean_cost=cost,
    )
