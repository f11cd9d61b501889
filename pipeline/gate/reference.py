"""Holds the metrics as they were when someone last agreed to them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.gate.measured import Measured

LEVEL = 0.05


@dataclasses.dataclass(frozen=True, eq=False)
class Expected:
    """Describes the value that a metric must have.

    Attributes:
        value: The number.
        tolerance: Difference allowed, up or down.
        relative_tolerance: Difference allowed, as a share of `value`. The
            larger of both counts.
        xfail: Why the metric is known to fail; "" if it is not.
        right: Whether each test image counted, in the order of their names,
            bool [N], if the number is the share of those that did.
    """

    value: float
    tolerance: float = 0.0
    relative_tolerance: float = 0.0
    xfail: str = ""
    right: np.ndarray | None = None

    @property
    def allowed(self) -> float:
        """Returns the largest difference allowed."""
        return max(self.tolerance, self.relative_tolerance * abs(self.value))


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """Holds the numbers that an experiment must reach.

    `reference_file` reads and writes them as a file.

    Attributes:
        config: Name of the configuration.
        level: A share of images has changed only if chance would change it as
            much with less than this probability.
        images: Number of test images.
        sha256: Hash of the names of the test images.
        labels: Class names of the bundle.
        policies: Settings of each policy, by name: thresholds and so on.
        metrics: Expected metrics by name.
        layer_errors: Own error of each int8 layer; see
            tflite.diagnosis.layer_errors.
    """

    config: str
    level: float
    images: int
    sha256: str
    labels: tuple[str, ...]
    policies: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Expected]
    layer_errors: Mapping[str, float]


def updated(
    old: Reference | None,
    measured: Measured,
    layer_errors: Mapping[str, float],
) -> Reference:
    """Returns a reference with which the measured numbers agree.

    The level, the tolerances and the reasons of an old one stay. So does the
    value of a metric that is known to fail: it is the value hoped for.
    """
    before = old.metrics if old else {}
    metrics = {}
    for name, now in measured.metrics.items():
        right = None if now.right is None else measured.in_order(now.right)
        last = before.get(name)
        if last is None:
            metrics[name] = Expected(
                now.value, now.tolerance, now.relative_tolerance, right=right
            )
        elif not last.xfail:
            metrics[name] = dataclasses.replace(
                last, value=now.value, right=right
            )
        elif old.sha256 == measured.sha256:
            metrics[name] = last
        else:
            # Nothing is known of these test images.
            metrics[name] = dataclasses.replace(last, right=None)
    return Reference(
        config=measured.config,
        level=old.level if old else LEVEL,
        images=len(measured.keys),
        sha256=measured.sha256,
        labels=tuple(measured.labels),
        policies={
            name: settings(policy.to_dict())
            for name, policy in measured.policies.items()
        },
        metrics=metrics,
        layer_errors=layer_errors,
    )


def settings(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Picks the settings that a reference holds from a policy's `to_dict`."""
    names = ("kind", "temperatures", "thresholds", "enabled")
    return {name: policy[name] for name in names}
