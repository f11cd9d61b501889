"""Compares the policies that ship with what was measured of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import logging

from keras_dynamic import exits
from pipeline.results import stage_results
from pipeline.results.layout import Layout
from tflite import bundle
from tflite.bundle.recorded_logits import Recorded
from tflite.runtime.harness import Harness

# Of a share of images, and of a cost.
_ROUNDING = 1e-9
_COST = 0.02


def differences(
    layout: Layout,
    harness: Harness,
    recorded: Recorded | None,
    truth: np.ndarray,
    numbers: np.ndarray,
    madds: np.ndarray,
) -> list[str]:
    """Lists the policies that are not what somebody fitted; a line per cause.

    The bundle's own policy must be the one that `convert` measured, with the
    accuracy and cost on the test images that it found; or, as any operating
    point, give on the recorded calibration images what its `fitted` says.

    Args:
        layout: Where results of `convert` are, if there are any.
        harness: The bundle.
        recorded: What calibration.npy holds; None if there is none.
        truth: Labels of the test images, [N].
        numbers: Logits of the chain on them, dequantized, [K, N, C].
        madds: Multiply-adds that the chain ran up to each exit, int64 [N, K].
    """
    opened, lines = harness.bundle, []
    route = _routed(opened.policy, truth, numbers, madds)
    last = (numbers[-1].argmax(-1) == truth).mean()
    logging.info(
        "routed: accuracy %.2f %%, %.4g M multiply-adds; last exit: %.2f %%, "
        "%.4g M",
        100 * route[0],
        route[1] / 1e6,
        100 * last,
        madds[:, -1].mean() / 1e6,
    )
    named = {
        f"operating point {name}": point
        for name, point in opened.operating_points.items()
    }
    measured = _measured(layout)
    if measured is not None and _same(opened.policy, measured):
        lines += _moved(route, measured)
    else:
        named["policy"] = opened.policy
    for name, policy in named.items():
        fitted = policy.fitted or {}
        if not {"accuracy", "images"} <= fitted.keys():
            line = f"nothing says what the bundle's {name} was measured to give"
            if measured is None:
                logging.warning("%s", line)
            else:
                lines.append(line)
        elif recorded is None:
            logging.warning(
                "what the bundle's %s promises cannot be compared: there is no "
                "%s",
                name,
                bundle.CALIBRATION,
            )
        else:
            lines += _broken(name, policy, harness, recorded)
    return lines


def _measured(layout: Layout) -> Mapping[str, Any] | None:
    """Returns what `convert` measured of the policy that it shipped."""
    if not layout.converted.exists():
        return None
    rows = stage_results.read(layout.converted).metrics.get("routed", ())
    return next((row for row in rows if row.get("bundle")), None)


def _same(policy: exits.Policy, measured: Mapping[str, Any]) -> bool:
    return measured.get("parameters") == policy.to_dict()


def _routed(
    policy: exits.Policy,
    truth: np.ndarray,
    numbers: np.ndarray,
    madds: np.ndarray,
) -> tuple[float, float]:
    """Returns accuracy and mean multiply-adds of a policy."""
    taken, rows = policy.route(numbers), np.arange(len(truth))
    right = numbers[taken, rows].argmax(-1) == truth
    return float(right.mean()), float(madds[rows, taken].mean())


def _moved(now: tuple[float, float], measured: Mapping[str, Any]) -> list[str]:
    accuracy, cost = (
        float(measured[name]) for name in ("accuracy", "mean_madds")
    )
    if abs(now[0] - accuracy) <= _ROUNDING and _near(now[1], cost):
        return []
    return [
        f"routed by the bundle's policy the test images cost {now[1]:.6g} "
        f"multiply-adds and {now[0]:.2%} are right, where `convert` measured "
        f"{cost:.6g} and {accuracy:.2%}"
    ]


def _broken(
    name: str, policy: exits.Policy, harness: Harness, recorded: Recorded
) -> list[str]:
    """Compares a policy's `fitted` with the images that it is of."""
    fitted = policy.fitted
    numbers = np.stack(
        [harness.dequantize(k, raw) for k, raw in enumerate(recorded.logits)]
    )
    madds = recorded.madds
    if madds is None:
        costs = np.array(harness.bundle.madds)
        madds = np.tile(costs, (len(recorded.labels), 1))
    accuracy, cost = _routed(policy, recorded.labels, numbers, madds)
    found = {"images": len(recorded.labels), "accuracy": accuracy}
    sound = fitted["images"] == found["images"]
    sound &= abs(fitted["accuracy"] - accuracy) <= _ROUNDING
    gated = recorded.madds is not None
    if fitted.get("unit") == "multiply-adds" and not gated:
        found["mean_cost"] = cost
        sound &= _near(cost, fitted.get("mean_cost", cost))
    if sound:
        return []
    said = {key: fitted.get(key) for key in found}
    return [
        f"the bundle's {name} gives {found} on {bundle.CALIBRATION}, where its "
        f"`fitted` says {said}"
    ]


def _near(cost: float, expected: float) -> bool:
    return abs(cost - expected) <= _COST * abs(expected)
