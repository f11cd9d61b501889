"""Fits exit policies on the calibration split, and tries them on the test."""

import dataclasses

import ml_collections
import numpy as np
from absl import logging

from keras_dynamic import exits
from pipeline.results.predictions import Predictions

RULES = (
    "accuracy_drop",
    "budgeted_drop",
    "cost_budget",
    "budgeted_batch",
    "scheduler",
    "conformal",
    "upper_bound",
)

# What these promise holds if nothing else was fitted to the same images.
_BOUNDED = ("conformal", "upper_bound")

# One in so many calibration images is set aside for what they need fitted.
_SET_ASIDE = 5

# The papers draw the budgeted-batch curve over q = p / 20, p = 1 .. 39.
_Q = [p / 20 for p in range(1, 40)]


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
        test: What the policies are tried on.
        madds: Cumulative multiply-adds of each exit. With gates the means of
            what ran on the calibration images: what an image costs at an exit
            is taken for the same for all.

    Returns:
        The policy of `config.rule`, and the rows of "routed" in metrics.json,
        its own first.

    Raises:
        ValueError: If a setting is not one of those that `pipeline.config`
            names, or the budget is below the cost of the first exit.
    """
    _check_choice("rule", config.rule, RULES)
    _check_choice("confidence", config.confidence, exits.KINDS)
    fitting = calibration
    if config.rule in _BOUNDED:
        fitting, calibration = _set_aside(calibration)
    temperatures = tuple(
        exits.fit_temperature(logits, fitting.labels).temperature
        for logits in fitting.logits
    )
    right = exits.correct(test.logits, test.labels, len(madds))
    if len(madds) == 1:
        policy, target, curve = exits.last_exit(temperatures), 0.0, []
    else:
        policy, target = _shipped(
            config, fitting, calibration, madds, temperatures
        )
        curve = _curve(calibration, test, right, madds, temperatures)
    taken = policy.route(test.logits)
    row = _row(policy, config.rule, target, taken, right, madds, bundle=True)
    return policy, [row, *curve]


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


def _shipped(config, fitting, calibration, madds, temperatures):
    """Returns the policy of `config.rule`, and its target for the table.

    Args:
        config: `config.policy`.
        fitting: Images that a scheduler may be learned from.
        calibration: Images for the thresholds.
        madds: Cumulative multiply-adds of each exit.
        temperatures: One per exit.
    """
    costs, unit = _costs(config, madds)
    training = exits.Training(**config.scheduler)
    data = (calibration.logits, calibration.labels, costs, temperatures)
    if config.rule == "scheduler":
        budget = _budget(config, costs)
        found = exits.scheduler_policy(*data, budget, training)
        policy, target = found.policy, config.budget
    else:
        measure = {"kind": config.confidence}
        if config.confidence == "scheduler":
            learned = exits.fit_scheduler(
                fitting.logits,
                fitting.labels,
                costs,
                temperatures,
                _budget(config, costs),
                training,
            )
            measure["scheduler"] = learned.scheduler
        if config.rule in _BOUNDED:
            policy, target = _bounded(config, data, measure)
        else:
            images = exits.calibrate(*data, **measure)
            policy, target = _unbounded(config, images)
    _warn(policy.fitted)
    if "mean_cost" in policy.fitted:
        facts = {**policy.fitted, "unit": unit}
        policy = dataclasses.replace(policy, fitted=facts)
    return policy, target


def _unbounded(config, images):
    if config.rule == "accuracy_drop":
        drop = config.max_drop_points / 100
        return exits.lowest_cost(images, drop), drop
    if config.rule == "budgeted_drop":
        drop = config.max_drop_points / 100
        return exits.shares_within_drop(images, drop), drop
    if config.rule == "budgeted_batch" and config.q:
        return _shares(images, config.q), config.q
    budget = _budget(config, images.costs)
    if config.rule == "budgeted_batch":
        found = exits.shares_within_budget(images, images.costs, budget)
        return found.policy, found.policy.fitted["q"]
    return exits.most_accurate(images, budget).policy, config.budget


def _bounded(config, data, measure):
    epsilon = config.epsilon_points / 100
    settings = {"risk": config.risk, **measure}
    if config.rule == "conformal":
        found = exits.conformal_policy(*data, epsilon, **settings)
    else:
        found = exits.upper_bound_policy(
            *data, epsilon, config.delta, **settings
        )
    return found.policy, epsilon


def _costs(config, madds):
    """Returns what a budget is compared with, and in which unit."""
    if not config.exit_ms:
        return madds, "multiply-adds"
    if len(config.exit_ms) != len(madds):
        raise ValueError(
            f"`policy.exit_ms` must hold one per exit, {len(madds)} in all. "
            f"Received: {config.exit_ms}"
        )
    return list(config.exit_ms), "ms"


def _budget(config, costs):
    """Returns the budget in the unit of the costs."""
    least = costs[0] / costs[-1]
    if not least <= config.budget < np.inf:
        raise ValueError(
            "`policy.budget` must be a finite share of the last exit's cost, "
            f"at least the first exit's, {least:.4g}. "
            f"Received: {config.budget}"
        )
    # The product may fall below it by a rounding.
    return max(config.budget * costs[-1], costs[0])


def _warn(fitted):
    if fitted.get("status") == "last_exit_only":
        logging.warning(
            "policy %s: these calibration images allow no early exit at "
            "epsilon %g; every image goes to the last exit",
            fitted["rule"],
            fitted["epsilon"],
        )
    elif fitted.get("status") == "last_exit_affordable":
        logging.warning(
            "policy %s: the budget pays for the last exit for every image",
            fitted["rule"],
        )


def _shares(scored, q):
    """Returns the policy of the papers for one q."""
    shares = exits.exit_shares(q, len(scored.scores))
    return scored.policy(
        *exits.thresholds(scored.scores, shares), rule="budgeted_batch", q=q
    )


def _curve(calibration, test, right, madds, temperatures):
    """Returns the rows of the papers' curve."""
    scored = exits.score(calibration.logits, temperatures)
    policies = [_shares(scored, q) for q in _Q]
    # They differ in their thresholds alone.
    tested = policies[0].scores(test.logits)
    return [
        _row(policy, "budgeted_batch", q, policy.stops(tested), right, madds)
        for policy, q in zip(policies, _Q, strict=True)
    ]


def _row(policy, rule, target, taken, right, madds, bundle=False):
    result = exits.tally(taken, right, madds)
    return {
        "policy": rule,
        "target": target,
        "bundle": bundle,
        "status": (policy.fitted or {}).get("status", "fitted"),
        "accuracy": result.accuracy,
        "mean_madds": result.mean_cost,
        "mean_latency_ms": None,
        "exit_shares": list(result.exit_shares),
        "parameters": policy.to_dict(),
    }
