"""Thresholds for a budget: the most accurate policy that it pays for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamic.exits.decision import kinds
from keras_dynamic.exits.decision.policy import Policy
from keras_dynamic.exits.decision.scheduler import Scheduler
from keras_dynamic.exits.fitting.calibration import Calibration, calibrate


@dataclass(frozen=True, kw_only=True)
class BudgetPolicy:
    """A policy that keeps to a budget on the images it was fitted to.

    Attributes:
        policy: The thresholds.
        status: "within_budget"; "last_exit_affordable" if the budget would pay
            for the last exit for every image, and binds nothing.
        mean_cost: Of the images, in the unit of the costs; at most the budget.
    """

    policy: Policy
    status: str
    mean_cost: float


def budget_policy(
    logits: Sequence[np.ndarray],
    labels: np.ndarray,
    costs: Sequence[float],
    temperatures: Sequence[float],
    budget: float,
    *,
    kind: str = kinds.KINDS[0],
    scheduler: Scheduler | None = None,
) -> BudgetPolicy:
    """Finds the most accurate policy whose mean cost is within a budget.

    See `most_accurate` for the promise, `calibration.calibrate` for all other
    arguments and their errors.

    Args:
        logits: One [N, C] array per exit, shallow to deep.
        labels: Classes, integers [N] in [0, C).
        costs: Increasing, cumulative per exit, [K]: multiply-adds, or measured
            milliseconds.
        temperatures: One per exit, [K].
        budget: The highest mean cost of an image, in the unit of the costs.
        kind: One of `kind.KINDS`.
        scheduler: For the kind "scheduler".
    """
    calibration = calibrate(
        logits, labels, costs, temperatures, kind=kind, scheduler=scheduler
    )
    return most_accurate(calibration, budget)


def most_accurate(calibration: Calibration, budget: float) -> BudgetPolicy:
    """Finds the most accurate policy whose mean cost is within a budget.

    On these images, and only there (others may cost more):

    - mean cost <= budget, as float64 numbers;
    - a larger budget is never less accurate;
    - with up to three exits no thresholds are more accurate, with more no
      change of a single threshold, as far as the work allowed: see
      `frontier.frontier`, and `slack` and `closed` of `calibration.frontier`.

    The most accurate policy may cost less than the budget: the last exit is
    not always the best.

    Args:
        calibration: The images.
        budget: The highest mean cost of an image, in the unit of the costs.

    Raises:
        ValueError: If `budget` is no number, or below the cost of the first
            exit, which every image pays.
    """
    status = check_budget(budget, calibration.costs)
    # Costs that were rounded up can miss the lowest budget by a hair.
    index = calibration.frontier.most_accurate(budget) or 0
    found = calibration.from_frontier(
        index, rule="cost_budget", budget=budget, status=status
    )
    return BudgetPolicy(
        policy=found, status=status, mean_cost=found.fitted["mean_cost"]
    )


def check_budget(budget: float, costs: np.ndarray) -> str:
    """Returns the status of a budget, see `BudgetPolicy`.

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
