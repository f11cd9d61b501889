"""Fits thresholds to a budget: the most accurate policy that it pays for."""

import math

import numpy as np

from keras_dynamic.exits.fitting.calibration import Calibration
from keras_dynamic.exits.fitting.fitted import Fitted
from keras_dynamic.exits.fitting.rule import Rule


def cost_budget(images: Calibration, budget: float) -> Fitted:
    """Finds the most accurate policy whose mean cost is within a budget.

    On these images, and only there (others may cost more), it holds that:

    - mean cost <= budget, as float64 numbers;
    - a larger budget is never less accurate;
    - with up to three exits no thresholds are more accurate, with more no
      change of a single threshold, as far as the work of `frontier.frontier`
      allowed: `slack` and `closed` of `Calibration.frontier` tell how far.

    The most accurate policy may cost less than the budget: the last exit is
    not always the best.

    Args:
        images: The images, from `calibrate`; their costs are multiply-adds, or
            measured milliseconds.
        budget: The highest mean cost of an image, in the unit of the costs.

    Returns:
        The policy; its status is "within_budget" or "last_exit_affordable".

    Raises:
        ValueError: If `budget` is no number, or below the cost of the first
            exit, which every image pays.
    """
    status = check_budget(budget, images.costs)
    # Costs that were rounded up can miss the lowest budget by a hair.
    index = images.frontier.most_accurate(budget) or 0
    return images.from_frontier(
        index, rule=RULE.name, budget=budget, status=status
    )


def check_budget(budget: float, costs: np.ndarray) -> str:
    """Returns the status of a policy that keeps a budget.

    It is "within_budget", or "last_exit_affordable" if the budget pays for the
    last exit for every image, and binds nothing.

    Args:
        budget: The highest mean cost of an image.
        costs: Increasing, cumulative per exit, [K].

    Raises:
        ValueError: If the first exit alone costs more, or `budget` is not
            finite.
    """
    if not costs[0] <= budget < math.inf:
        raise ValueError(
            "`budget` must be a finite number of at least the first exit's "
            f"cost, {costs[0]}: no policy costs less. Received: {budget}"
        )
    affordable = budget >= costs[-1]
    return "last_exit_affordable" if affordable else "within_budget"


RULE = Rule(
    fit=cost_budget,
    settings=("budget",),
    here="the most accurate policy that costs no more",
)
