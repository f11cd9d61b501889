"""Says what a value of a configuration must be beyond its type."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Rule:
    """Describes a rule for a value.

    Attributes:
        text: Words that stand behind "must be".
        holds: Tells whether a value of the right type obeys the rule.
    """

    text: str
    holds: Callable[[Any], bool]


def one_of(*choices: str | int) -> Rule:
    """Allows these values."""
    return Rule(f"one of {', '.join(map(str, choices))}", choices.__contains__)


def named(*names: str) -> Rule:
    """Allows these names, and a function of one's own as module:function."""
    return Rule(
        f"one of {', '.join(names)}, or module:function",
        lambda value: value in names or _is_place(value),
    )


def at_least(least: float) -> Rule:
    """Allows this number and larger ones."""
    return Rule(f"at least {least}", lambda value: value >= least)


def between(low: float, high: float) -> Rule:
    """Allows numbers of a closed interval."""
    return Rule(f"from {low} to {high}", lambda value: low <= value <= high)


def below_one() -> Rule:
    """Allows shares of which something is left."""
    return Rule("at least 0 and below 1", lambda value: 0 <= value < 1)


def positive() -> Rule:
    """Allows finite numbers above zero."""
    return Rule("positive and finite", lambda value: 0 < value < math.inf)


def finite() -> Rule:
    """Allows all numbers but infinity and NaN."""
    return Rule("finite", math.isfinite)


def _is_place(value: str) -> bool:
    module, colon, function = value.partition(":")
    parts = [*module.split("."), function]
    return bool(colon) and all(part.isidentifier() for part in parts)
