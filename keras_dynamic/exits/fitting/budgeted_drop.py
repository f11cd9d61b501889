"""Fits thresholds to an accuracy, in the papers' family of exit shares.

The family has one parameter. So its best member for some images is nearly as
good on others, where the frontier's (`accuracy_drop`), the best of all
thresholds, loses more than it was allowed to: it was chosen from many more.
The papers tune nothing for an accuracy; this use of their family is ours.
"""

import numpy as np

from keras_dynamic.exits.decision.outcome import tally
from keras_dynamic.exits.decision.policy import first_exits
from keras_dynamic.exits.fitting import single_exit
from keras_dynamic.exits.fitting.accuracy_drop import check_drop
from keras_dynamic.exits.fitting.calibration import Calibration
from keras_dynamic.exits.fitting.exit_shares import exit_shares, thresholds
from keras_dynamic.exits.fitting.fitted import Fitted
from keras_dynamic.exits.fitting.rule import Rule

# q is tried from 1/16 to 16, 16 numbers to a factor of 2. With the last one no
# image leaves early.
_POWERS = (*np.arange(-64, 65) / 16, 64.0)


def budgeted_drop(images: Calibration, max_drop: float) -> Fitted:
    """Finds the cheapest shares that lose at most `max_drop` of accuracy.

    It tries the thresholds that `exit_shares` and `thresholds` give for some
    130 numbers q. Of those whose accuracy on these images is at least the last
    exit's less `max_drop`, it takes those with the lowest mean cost there. If
    stopping every image at one exit loses no more and costs less, that is the
    policy. A larger `max_drop` never costs more. The facts hold the q, or the
    exit.

    Args:
        images: The images, from `calibrate`.
        max_drop: A fraction in [0, 1]; 0.005 is half a percentage point.

    Raises:
        ValueError: If `max_drop` is no such number.
    """
    check_drop(max_drop)
    exits = len(images.costs)
    least = images.right[-1].mean() - max_drop
    found = []
    for power in _POWERS:
        q = float(2.0**power)
        bars, enabled = thresholds(images.scores, exit_shares(q, exits))
        reached = np.where(enabled, bars, np.inf)
        taken = first_exits(images.scores, reached)
        got = tally(taken, images.right, images.costs)
        if got.accuracy >= least:
            found.append((got.mean_cost, q, got.accuracy, bars, enabled))
    cost, q, accuracy, bars, enabled = min(found, key=lambda each: each[:2])
    for exit, alone in enumerate(images.costs):
        if alone < cost and images.right[exit].mean() >= least:
            return single_exit.at_exit(
                images, exit, rule=RULE.name, max_drop=max_drop
            )
    return images.fitted(
        bars,
        enabled,
        rule=RULE.name,
        max_drop=max_drop,
        q=q,
        accuracy=accuracy,
        mean_cost=cost,
    )


RULE = Rule(
    fit=budgeted_drop,
    settings=("max_drop",),
    here="the cheapest shares that lose no more",
)
