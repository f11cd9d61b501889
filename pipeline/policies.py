"""Fits exit policies on the calibration split, and tries them on the test."""

import ml_collections

from keras_dynamic import exits
from pipeline.predictions import Predictions

RULES = ("accuracy_drop", "budgeted_batch")

# The papers draw the budgeted-batch curve over q = p / 20, p = 1 .. 39.
_Q = [p / 20 for p in range(1, 40)]


def fit(
    config: ml_collections.ConfigDict,
    calibration: Predictions,
    test: Predictions,
    madds: list[int],
) -> tuple[exits.Policy, list[dict]]:
    """Fits the policy that ships, and the curve of the papers beside it.

    Args:
        config: `config.policy`.
        calibration: Images that neither training nor testing saw.
        test: What the policies are tried on.
        madds: Cumulative multiply-adds of each exit.

    Returns:
        The policy of `config.rule`, and the rows of "routed" in metrics.json,
        its own first.

    Raises:
        ValueError: If the rule is unknown.
    """
    if config.rule not in RULES:
        raise ValueError(
            f"`policy.rule` must be one of {', '.join(RULES)}. "
            f"Received: rule={config.rule!r}"
        )
    temperatures = tuple(
        exits.fit_temperature(logits, calibration.labels).temperature
        for logits in calibration.logits
    )

    def budgeted(q):
        shares = exits.exit_shares(q, len(madds))
        return exits.budgeted_policy(calibration.logits, temperatures, shares)

    if config.rule == "accuracy_drop":
        shipped = exits.lowest_cost_policy(
            calibration.logits,
            calibration.labels,
            madds,
            temperatures,
            config.max_drop_points / 100,
        )
        target = config.max_drop_points / 100
    else:
        shipped, target = budgeted(config.q), config.q
    rows = [_row(shipped, config.rule, target, test, madds, bundle=True)]
    rows += [_row(budgeted(q), "budgeted_batch", q, test, madds) for q in _Q]
    return shipped, rows


def _row(policy, rule, target, test, madds, bundle=False):
    taken = policy.route(test.logits)
    result = exits.outcome(taken, test.logits, test.labels, madds)
    return {
        "policy": rule,
        "target": target,
        "bundle": bundle,
        "accuracy": float(result.accuracy),
        "mean_madds": float(result.mean_cost),
        "mean_latency_ms": None,
        "exit_shares": [float(share) for share in result.exit_shares],
        "parameters": policy.to_dict(),
    }
