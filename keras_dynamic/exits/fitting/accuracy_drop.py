"""Thresholds for an accuracy: the lowest cost that keeps what is asked for."""

from collections.abc import Sequence

import numpy as np

from keras_dynamic.exits.decision import kinds
from keras_dynamic.exits.decision.policy import Policy
from keras_dynamic.exits.decision.scheduler import Scheduler
from keras_dynamic.exits.fitting.calibration import Calibration, calibrate


def lowest_cost_policy(
    logits: Sequence[np.ndarray],
    labels: np.ndarray,
    costs: Sequence[float],
    temperatures: Sequence[float],
    max_drop: float,
    *,
    kind: str = kinds.KINDS[0],
    scheduler: Scheduler | None = None,
) -> Policy:
    """Finds the cheapest policy that loses at most `max_drop` of accuracy.

    See `lowest_cost` for the promise, `calibration.calibrate` for all other
    arguments and their errors.

    Args:
        logits: One [N, C] array per exit, shallow to deep.
        labels: Classes, integers [N] in [0, C).
        costs: Increasing, cumulative per exit, [K].
        temperatures: One per exit, [K].
        max_drop: A fraction in [0, 1]; 0.005 is half a percentage point.
        kind: One of `kind.KINDS`.
        scheduler: For the kind "scheduler".
    """
    calibration = calibrate(
        logits, labels, costs, temperatures, kind=kind, scheduler=scheduler
    )
    return lowest_cost(calibration, max_drop)


def lowest_cost(calibration: Calibration, max_drop: float) -> Policy:
    """Finds the cheapest policy that loses at most `max_drop` of accuracy.

    On these images, and only there (accuracy on others is not promised):

    - accuracy >= the last exit's accuracy - max_drop, as float64 numbers;
    - a larger `max_drop` never costs more;
    - with up to three exits no thresholds are cheaper, with more no change of
      a single threshold, as far as the work allowed: see `frontier.frontier`,
      and `slack` and `closed` of `calibration.frontier`.

    An image that stops at exit k costs `costs[k]`, also behind disabled exits:
    their segments run all the same. Only exits at which no image stops are
    disabled, because disabling any other would send its images to a deeper,
    dearer one.

    Args:
        calibration: The images.
        max_drop: A fraction in [0, 1]; 0.005 is half a percentage point.

    Raises:
        ValueError: If `max_drop` is no such number.
    """
    check_drop(max_drop)
    index = calibration.frontier.cheapest(
        calibration.right[-1].mean() - max_drop
    )
    return calibration.from_frontier(
        index, rule="accuracy_drop", max_drop=max_drop
    )


def check_drop(max_drop: float) -> None:
    """Raises a ValueError if `max_drop` is no fraction in [0, 1]."""
    if not 0.0 <= max_drop <= 1.0:
        raise ValueError(
            f"`max_drop` must be a fraction in [0, 1]. Received: {max_drop}"
        )
