"""Exit policies: when is an image sure enough to stop? Needs only numpy."""

from keras_dynamic.exits.accuracy_drop import lowest_cost_policy
from keras_dynamic.exits.budgeted_batch import (
    budgeted_policy,
    exit_shares,
    thresholds,
)
from keras_dynamic.exits.confidence import max_probability, softmax
from keras_dynamic.exits.outcome import Outcome, outcome
from keras_dynamic.exits.policy import Policy
from keras_dynamic.exits.temperature import TemperatureFit, fit_temperature

__all__ = [
    "Outcome",
    "Policy",
    "TemperatureFit",
    "budgeted_policy",
    "exit_shares",
    "fit_temperature",
    "lowest_cost_policy",
    "max_probability",
    "outcome",
    "softmax",
    "thresholds",
]
