"""Exit policies: when is an image sure enough to stop? Needs only numpy."""

from keras_dynamic.exits.accuracy_drop import lowest_cost_policy
from keras_dynamic.exits.budgeted_batch import (
    budgeted_policy,
    exit_shares,
    thresholds,
)
from keras_dynamic.exits.confidence import (
    entropy_confidence,
    margin,
    max_probability,
    softmax,
)
from keras_dynamic.exits.outcome import Outcome, outcome
from keras_dynamic.exits.policy import Policy
from keras_dynamic.exits.risk_control import (
    ControlledPolicy,
    conformal_policy,
    upper_bound_policy,
)
from keras_dynamic.exits.temperature import TemperatureFit, fit_temperature

__all__ = [
    "ControlledPolicy",
    "Outcome",
    "Policy",
    "TemperatureFit",
    "budgeted_policy",
    "conformal_policy",
    "entropy_confidence",
    "exit_shares",
    "fit_temperature",
    "lowest_cost_policy",
    "margin",
    "max_probability",
    "outcome",
    "softmax",
    "thresholds",
    "upper_bound_policy",
]
