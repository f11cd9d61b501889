"""Exit policies: when is an image sure enough to stop? Needs only numpy."""

from keras_dynamic.exits.accuracy_drop import lowest_cost, lowest_cost_policy
from keras_dynamic.exits.budgeted_batch import (
    budgeted_policy,
    exit_shares,
    shares_within_budget,
    thresholds,
)
from keras_dynamic.exits.budgeted_drop import shares_within_drop
from keras_dynamic.exits.calibration import (
    Calibration,
    Scored,
    calibrate,
    score,
)
from keras_dynamic.exits.confidence import (
    entropy_confidence,
    margin,
    max_probability,
    softmax,
)
from keras_dynamic.exits.cost_budget import (
    BudgetPolicy,
    budget_policy,
    most_accurate,
)
from keras_dynamic.exits.kind import KINDS
from keras_dynamic.exits.outcome import Outcome, correct, outcome, tally
from keras_dynamic.exits.policy import Policy, last_exit
from keras_dynamic.exits.risk_control import (
    RISKS,
    ControlledPolicy,
    conformal_policy,
    upper_bound_policy,
)
from keras_dynamic.exits.scheduler import Scheduler
from keras_dynamic.exits.scheduler_fit import (
    SchedulerFit,
    Training,
    fit_scheduler,
    scheduler_policy,
)
from keras_dynamic.exits.temperature import TemperatureFit, fit_temperature

__all__ = [
    "KINDS",
    "RISKS",
    "BudgetPolicy",
    "Calibration",
    "ControlledPolicy",
    "Outcome",
    "Policy",
    "Scheduler",
    "SchedulerFit",
    "Scored",
    "TemperatureFit",
    "Training",
    "budget_policy",
    "budgeted_policy",
    "calibrate",
    "conformal_policy",
    "correct",
    "entropy_confidence",
    "exit_shares",
    "fit_scheduler",
    "fit_temperature",
    "last_exit",
    "lowest_cost",
    "lowest_cost_policy",
    "margin",
    "max_probability",
    "most_accurate",
    "outcome",
    "scheduler_policy",
    "score",
    "shares_within_budget",
    "shares_within_drop",
    "softmax",
    "tally",
    "thresholds",
    "upper_bound_policy",
]
