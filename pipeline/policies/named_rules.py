"""Fits exit policies on the calibration split, and tries them on the test."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import ml_collections
import numpy as np
from absl import logging

from keras_dynamic import exits
from pipeline.results.predictions import Predictions

# One in so many calibration images is set aside for what a rule with images of
# its own needs fitted.
_SET_ASIDE = 5

# The papers draw the budgeted-batch curve over q = p / 20, p = 1 .. 39.
_Q = [p / 20 for p in range(1, 40)]


@dataclasses.dataclass(frozen=True)
class Setting:
    """Names the setting that a rule's argument comes from.

    Attributes:
        key: Key of `config.policy`.
        value: Makes the argument from `config.policy` and the costs up to each
            exit, [K].
    """

    key: str
    value: Callable[[ml_collections.ConfigDict, Sequence[float]], Any]


def _budget(policy, costs):
    """Returns the budget in the unit of the costs."""
    least = costs[0] / costs[-1]
    if not least <= policy.budget < np.inf:
        raise ValueError(
            "`policy.budget` must be a finite share of the last exit's cost, "
            f"at least the first exit's, {least:.4g}. "
            f"Received: {policy.budget}"
        )
    # The product may fall below it by a rounding.
    return max(policy.budget * costs[-1], costs[0])


# By the names in `exits.Rule.settings`.
SETTINGS = {
    "budget": Setting("budget", _budget),
    "delta": Setting("delta", lambda policy, _: policy.delta),
    "epsilon": Setting(
        "epsilon_points", lambda policy, _: policy.epsilon_points / 100
    ),
    "max_drop": Setting(
        "max_drop_points", lambda policy, _: policy.max_drop_points / 100
    ),
    "q": Setting("q", lambda policy, _: policy.q),
    "risk": Setting("risk", lambda policy, _: policy.risk),
    "training": Setting(
        "scheduler", lambda policy, _: exits.Training(**policy.scheduler)
    ),
}


def fit(
    config: ml_collections.ConfigDict,
    calibration: Predictions,
    test: Predictions,
    madds: list[float],
) -> tuple[exits.Policy, list[dict]]:
    """Fits the policy that ships, and the curve of the papers beside it.

    With a single exit there is nothing to fit, and no curve.

    Args:
        config: `config.policy`.
        calibration: Images that neither training nor testing saw.
        test: Images that the policies are tried on.
        madds: Cumulative multiply-adds of each exit. With gates the means of
            those that ran on the calibration images: the cost of an image at
            an exit is taken for the same for all.

    Returns:
        The policy of `config.rule`, and the rows of "routed" in metrics.json,
        its own first.

    Raises:
        ValueError: If a setting is not one of those that `pipeline.config`
            names, or the budget is below the cost of the first exit.
    """
    _check_choice("rule", config.rule, exits.RULES)
    _check_choice("confidence", config.confidence, exits.KINDS)
    rule, fitting = exits.RULES[config.rule], calibration
    if rule.own_images:
        fitting, calibration = _set_aside(calibration)
    temperatures = tuple(
        exits.fit_temperature(logits, fitting.labels).temperature
        for logits in fitting.logits
    )
    right = exits.correct(test.logits, test.labels, len(madds))
    if len(madds) == 1:
        fitted = exits.Fitted(exits.last_exit(temperatures))
        target, curve = 0.0, []
    else:
        fitted, target = _shipped(
            rule, config, fitting, calibration, madds, temperatures
        )
        curve = _curve(calibration, test, right, madds, temperatures)
    taken = fitted.policy.route(test.logits)
    row = _row(fitted, rule.name, target, taken, right, madds, bundle=True)
    return fitted.policy, [row, *curve]


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(
            f"`policy.{name}` must be one of {', '.join(choices)}. "
            f"Received: {name}={value!r}"
        )


def _set_aside(calibration):
    """Returns some of the images, in random order, and the others."""
    order = np.random.default_rng(0).permutation(len(calibration.labels))
    few = -(-len(order) // _SET_ASIDE)
    return [
        Predictions(calibration.labels[rows], calibration.logits[:, rows])
        for rows in (order[:few], order[few:])
    ]


def _shipped(rule, config, fitting, calibration, madds, temperatures):
    """Returns the policy that the rule fitted, and its target for the table.

    Args:
        rule: An `exits.Rule`.
        config: `config.policy`.
        fitting: Images that a scheduler may be learned from.
        calibration: Images for the thresholds.
        madds: Cumulative multiply-adds of each exit.
        temperatures: Temperatures, one per exit.
    """
    costs, unit = _costs(config, madds)
    measure = {} if rule.own_scores else {"kind": config.confidence}
    if measure.get("kind") == "scheduler":
        learned = exits.fit_scheduler(
            fitting.logits,
            fitting.labels,
            costs,
            temperatures,
            _budget(config, costs),
            exits.Training(**config.scheduler),
        )
        measure["scheduler"] = learned.scheduler
    images = exits.calibrate(
        calibration.logits, calibration.labels, costs, temperatures, **measure
    )
    fitted = rule.fit(images, **_arguments(rule, config, images.costs))
    _warn(fitted, exits.better_exit(images, fitted.policy))
    if "mean_cost" in fitted.facts:
        fitted = fitted.with_facts(unit=unit)
    target = rule.settings[0]
    if target == "budget":  # Told as the share that was asked for.
        return fitted, config.budget
    return fitted, fitted.facts[target]


def _arguments(rule, config, costs):
    """Returns the settings of a rule; of q and budget the first that is set."""
    names = set(rule.settings)
    if "q" in names:
        names.remove("budget" if config.q else "q")
    return {name: SETTINGS[name].value(config, costs) for name in names}


def _costs(config, madds):
    """Returns the costs that a budget is compared with, and their unit."""
    if not config.exit_ms:
        return madds, "multiply-adds"
    if len(config.exit_ms) != len(madds):
        raise ValueError(
            f"`policy.exit_ms` must hold one per exit, {len(madds)} in all. "
            f"Received: {config.exit_ms}"
        )
    return list(config.exit_ms), "ms"


def _warn(fitted, better):
    """Warns of a policy that is not what was hoped for.

    Args:
        fitted: The policy.
        better: The exit that alone beats it on the calibration images, or None.
    """
    if better is not None:
        logging.warning(
            "policy %s: stopping every calibration image at exit %d is more "
            "accurate and costs no more",
            fitted.facts["rule"],
            better,
        )
    if fitted.status == "last_exit_only":
        logging.warning(
            "policy %s: these calibration images show of no early exit that "
            "it loses as little as it may; every image goes to the last exit",
            fitted.facts["rule"],
        )
    elif fitted.status in ("too_few_images", "kept_on_average"):
        logging.warning(
            "policy %s: %s", fitted.facts["rule"], fitted.facts["promise"]
        )
    elif fitted.status == "last_exit_affordable":
        logging.warning(
            "policy %s: the budget pays for the last exit for every image",
            fitted.facts["rule"],
        )


def _curve(calibration, test, right, madds, temperatures):
    """Returns the rows of the papers' curve."""
    images = exits.calibrate(
        calibration.logits, calibration.labels, madds, temperatures
    )
    every = [exits.budgeted_batch(images, q=q) for q in _Q]
    # They differ in their thresholds alone.
    scores = every[0].policy.scores(test.logits)
    return [
        _row(each, "budgeted_batch", q, each.policy.stops(scores), right, madds)
        for each, q in zip(every, _Q, strict=True)
    ]


def _row(fitted, rule, target, taken, right, madds, bundle=False):
    result = exits.tally(taken, right, madds)
    return {
        "policy": rule,
        "target": target,
        "bundle": bundle,
        "status": fitted.status,
        "accuracy": result.accuracy,
        "mean_madds": result.mean_cost,
        "mean_latency_ms": None,
        "exit_shares": list(result.exit_shares),
        "parameters": fitted.policy.to_dict(),
    }
