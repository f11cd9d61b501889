"""Decides when an image is sure enough to stop; fits policies; numpy only.

A name is imported when it is first asked for: a device that decides by a
finished policy loads no code that fits one.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # What decides; what fits is typed where it is defined.
    from keras_dynamic.exits.decision.confidence import (
        entropy_confidence,
        margin,
        max_probability,
        softmax,
    )
    from keras_dynamic.exits.decision.kinds import KINDS
    from keras_dynamic.exits.decision.outcome import (
        Outcome,
        correct,
        outcome,
        tally,
    )
    from keras_dynamic.exits.decision.policy import Policy, last_exit
    from keras_dynamic.exits.decision.scheduler import Scheduler

_PLACES = {
    "decision.confidence": (
        "entropy_confidence",
        "margin",
        "max_probability",
        "softmax",
    ),
    "decision.kinds": ("KINDS",),
    "decision.outcome": (
        "Outcome",
        "correct",
        "outcome",
        "tally",
    ),
    "decision.policy": (
        "Policy",
        "last_exit",
    ),
    "decision.scheduler": ("Scheduler",),
    "fitting.accuracy_drop": ("accuracy_drop",),
    "fitting.budgeted_batch": ("budgeted_batch",),
    "fitting.budgeted_drop": ("budgeted_drop",),
    "fitting.calibration": (
        "Calibration",
        "calibrate",
    ),
    "fitting.conformal": ("conformal",),
    "fitting.cost_budget": ("cost_budget",),
    "fitting.exit_shares": (
        "exit_shares",
        "thresholds",
    ),
    "fitting.fitted": (
        "STATUSES",
        "Fitted",
    ),
    "fitting.promised_drop": ("promised_drop",),
    "fitting.risk_control": ("RISKS",),
    "fitting.rule": ("Rule",),
    "fitting.rules": ("RULES",),
    "fitting.scheduler": ("scheduler",),
    "fitting.scheduler_fit": (
        "SchedulerFit",
        "Training",
        "fit_scheduler",
    ),
    "fitting.single_exit": (
        "at_exit",
        "better_exit",
    ),
    "fitting.temperature": (
        "TemperatureFit",
        "fit_temperature",
    ),
    "fitting.upper_bound": ("upper_bound",),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    """Imports what is asked for from the module that holds it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    """Returns the public names."""
    return [*globals(), *__all__]
