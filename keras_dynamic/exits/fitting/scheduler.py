"""Fits thresholds to a budget, with scores and shares learned for it."""

from keras_dynamic.exits.fitting.budgeted_batch import within_budget
from keras_dynamic.exits.fitting.calibration import Calibration, calibrate
from keras_dynamic.exits.fitting.fitted import Fitted
from keras_dynamic.exits.fitting.rule import Rule
from keras_dynamic.exits.fitting.scheduler_fit import (
    FASTER,
    Training,
    fit_scheduler,
)


def scheduler(
    images: Calibration, budget: float, training: Training = FASTER
) -> Fitted:
    """Learns a scheduler and the thresholds that keep its mean cost in budget.

    Nothing is promised of accuracy. `cost_budget` finds better thresholds for
    the same scores, and promises as much: calibrate with the policy's
    `scheduler`.

    Args:
        images: The images, from `calibrate`; whatever their kind, the policy's
            is "scheduler".
        budget: The highest mean cost of an image, in the unit of the costs.
        training: The constants of the training.

    Raises:
        ValueError: If the budget is below the cost of the first exit.
    """
    data = (images.logits, images.labels, images.costs, images.temperatures)
    learned = fit_scheduler(*data, budget, training)
    scored = calibrate(*data, kind="scheduler", scheduler=learned.scheduler)
    return within_budget(scored, budget, learned.shares, rule=RULE.name)


RULE = Rule(
    fit=scheduler,
    settings=("budget", "training"),
    here="costs no more",
    own_scores=True,
)
