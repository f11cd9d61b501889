"""Makes up measurements, and a reference that agrees with them."""

import numpy as np

from keras_dynamic import exits
from pipeline.gate import metric, reference
from pipeline.gate.measured import Measured

COUNT = 400


def measured(right=None, **changes) -> Measured:
    """Returns `accuracy`, `madds`, `operators` and others, with `changes`."""
    if right is None:
        right = answered(360)
    metrics = {
        "accuracy": metric.share(right),
        "madds": metric.cost(1000.0),
        "operators": metric.count(7, ""),
        "mismatches": metric.count(0, "lower"),
        # A reference names the exits and the policies twice.
        "exit_0.agreement": metric.share(answered(COUNT)),
        "exit_1.agreement": metric.share(answered(COUNT)),
        "policy_default.accuracy": metric.share(answered(350)),
        "policy_default.mean_madds": metric.cost(500.0),
    }
    return Measured(
        config="made_up",
        keys=[f"image {i}" for i in range(COUNT)],
        labels=("cat", "dog"),
        policies={"default": exits.last_exit((1.0, 1.0))},
        metrics=metrics | changes,
        truth=np.zeros(COUNT, int),
        answers={"float": np.zeros((1, COUNT), int)},
    )


def answered(count: int) -> np.ndarray:
    """Returns answers of which the first so many are right."""
    return np.arange(COUNT) < count


def agreeing(found: Measured | None = None) -> reference.Reference:
    return reference.updated(None, found or measured(), {"stem": 0.01})
