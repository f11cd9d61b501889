"""States what each value of metrics.json must be, of those that code reads.

A rule is a function from a place, such as "exits[0].madds", and a value to the
first thing that is wrong, or None. Keys that no rule names are read by nobody.
"""

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

from tflite.bundle import manifest_rules

Rule = Callable[[str, Any], str | None]

# Whole numbers up to here are exact in every reader's floats.
MAX_COUNT = 2**53
_MAX_ROWS = 2**16


def check(metrics: Any) -> str | None:
    """Returns the first thing that is wrong with metrics, None if nothing is.

    What is absent was not measured, but for the exits.
    """
    return _METRICS("metrics", metrics) or _counts(metrics)


def check_converted(metrics: Mapping[str, Any]) -> str | None:
    """Returns what metrics lack that are to have policies of the int8 model."""
    for place, row in enumerate(metrics["exits"]):
        for name in ("madds", "params"):
            if name not in row:
                return f"`exits[{place}]` must have the key {name}"
        for name in ("float", "int8"):
            if row["accuracy"].get(name) is None:
                return f"`exits[{place}].accuracy` must have the key {name}"
    count = len(metrics["exits"])
    for place, row in enumerate(metrics["routed"]):
        if len(row["exit_shares"]) < count:
            return (
                f"`routed[{place}].exit_shares` must have {count} numbers, one "
                f"per exit. {_got(len(row['exit_shares']))}"
            )
    return None


def _counts(metrics: Mapping[str, Any]) -> str | None:
    """Compares numbers that must agree with each other."""
    exits = metrics["exits"]
    for place, row in enumerate(exits):
        if row["exit"] != place:
            return f"`exits[{place}].exit` must be {place}. {_got(row['exit'])}"
    ships = sum(row.get("bundle", False) for row in metrics.get("routed", ()))
    if ships > 1:
        return f"one row of `routed` may have `bundle` true. {_got(ships)}"
    return None


def _got(value: Any) -> str:
    return f"Received: {manifest_rules.shown(value)}"


def _value(
    rule: str, holds: Callable[[Any], bool], where: str, value: Any
) -> str | None:
    return None if holds(value) else f"`{where}` must be {rule}. {_got(value)}"


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_count(value: Any, least: int) -> bool:
    return type(value) is int and least <= value <= MAX_COUNT


def _one(rule: str, holds: Callable[[Any], bool]) -> Rule:
    return functools.partial(_value, rule, holds)


def _object(
    needed: Mapping[str, Rule], options: Mapping[str, Rule] | None = None
) -> Rule:
    rules = {**needed, **(options or {})}

    def check(where: str, value: Any) -> str | None:
        if type(value) is not dict:
            return f"`{where}` must be an object. {_got(value)}"
        inner = "" if where == "metrics" else f"{where}."
        for key in needed:
            if key not in value:
                return f"`{where}` must have the key {key}. {_got(list(value))}"
        wrong = (
            rule(f"{inner}{key}", value[key])
            for key, rule in rules.items()
            if key in value
        )
        return next(filter(None, wrong), None)

    return check


def _all(rule: Rule) -> Rule:
    """Makes the rule of an object whose keys may be any."""

    def check(where: str, value: Any) -> str | None:
        if type(value) is not dict:
            return f"`{where}` must be an object. {_got(value)}"
        wrong = (rule(f"{where}.{key}", each) for key, each in value.items())
        return next(filter(None, wrong), None)

    return check


def _rows(rule: Rule, least: int = 0) -> Rule:
    def check(where: str, value: Any) -> str | None:
        if type(value) is not list or not least <= len(value) <= _MAX_ROWS:
            return (
                f"`{where}` must be a list of {least} to {_MAX_ROWS}. "
                f"{_got(value)}"
            )
        wrong = (rule(f"{where}[{i}]", each) for i, each in enumerate(value))
        return next(filter(None, wrong), None)

    return check


def _or_null(rule: Rule) -> Rule:
    def check(where: str, value: Any) -> str | None:
        return None if value is None else rule(where, value)

    return check


_NUMBER = _one("a finite number", _is_number)
_AMOUNT = _one(
    "a finite number of at least 0", lambda v: _is_number(v) and v >= 0
)
_SHARE = _one("a share, from 0 to 1", _is_share)
_COUNT = _one("a count", lambda v: _is_count(v, 0))
_COST = _one("a count of at least 1", lambda v: _is_count(v, 1))
_TEXT = _one("text", lambda v: type(v) is str)
_SWITCH = _one("true or false", lambda v: type(v) is bool)
_TIMES = _object({name: _AMOUNT for name in ("mean", "p50", "p90", "p99")})
_OF_KINDS = _all(_or_null(_NUMBER))
_SPREAD = ("std", "min", "max")
_EXIT = _object(
    {"exit": _COUNT, "accuracy": _all(_or_null(_SHARE))},
    {
        "madds": _COST,
        "params": _COUNT,
        "madds_paper": _COUNT,
        "latency_ms": _or_null(_TIMES),
        "calibration_accuracy": _all(_SHARE),
        "dynamic_madds": _all(
            _object({"mean": _AMOUNT}, dict.fromkeys(_SPREAD, _AMOUNT))
        ),
        **dict.fromkeys(
            (
                "auroc",
                "aurc",
                "excess_aurc",
                "temperature",
                "nll_before",
                "nll_after",
            ),
            _OF_KINDS,
        ),
    },
)
_POINT = _object(
    {"madds": _AMOUNT, "accuracy": _SHARE},
    {
        "target": _or_null(_NUMBER),
        "calibration_madds": _or_null(_AMOUNT),
        "calibration_accuracy": _or_null(_SHARE),
    },
)
_CURVE = _object({"points": _rows(_POINT, 1)}, {"area": _or_null(_NUMBER)})
_TARGET = _one(
    "a finite number, text or null",
    lambda v: v is None or type(v) is str or _is_number(v),
)
_POLICY = _object(
    {
        "policy": _TEXT,
        "target": _TARGET,
        "accuracy": _SHARE,
        "mean_madds": _AMOUNT,
        "exit_shares": _rows(_SHARE, 1),
    },
    {
        "bundle": _SWITCH,
        "status": _TEXT,
        "mean_latency_ms": _or_null(_AMOUNT),
        "parameters": _object({}),
    },
)
_METRICS = _object(
    {"exits": _rows(_EXIT, 1)},
    {
        "config": _TEXT,
        "model": _TEXT,
        "dataset": _all(_COUNT),
        "curves": _all(_all(_CURVE)),
        "routed": _rows(_POLICY, 1),
        "chain": _object(
            {}, {"samples": _COUNT, "mismatches": _COUNT, "overhead": _AMOUNT}
        ),
        "segment_latency_ms": _rows(_TIMES),
        **dict.fromkeys(
            ("unsplit_latency_ms", "chain_latency_ms", "routed_latency_ms"),
            _or_null(_TIMES),
        ),
    },
)
