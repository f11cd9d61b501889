"""Exit policies: when is an image sure enough to stop? Needs only numpy.

A name is imported when it is first asked for: a device that decides by a
finished policy loads no code that fits one.
"""

import importlib

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
    "fitting.accuracy_drop": (
        "lowest_cost",
        "lowest_cost_policy",
    ),
    "fitting.budgeted_batch": (
        "budgeted_policy",
        "exit_shares",
        "shares_within_budget",
        "thresholds",
    ),
    "fitting.budgeted_drop": ("shares_within_drop",),
    "fitting.calibration": (
        "Calibration",
        "Scored",
        "calibrate",
        "score",
    ),
    "fitting.cost_budget": (
        "BudgetPolicy",
        "budget_policy",
        "most_accurate",
    ),
    "fitting.risk_control": (
        "ControlledPolicy",
        "RISKS",
        "conformal_policy",
        "upper_bound_policy",
    ),
    "fitting.scheduler_fit": (
        "SchedulerFit",
        "Training",
        "fit_scheduler",
        "scheduler_policy",
    ),
    "fitting.temperature": (
        "TemperatureFit",
        "fit_temperature",
    ),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> object:
    """Imports what is asked for from the module that holds it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    """Returns the public names."""
    return [*globals(), *__all__]
