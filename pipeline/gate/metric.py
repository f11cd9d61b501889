"""A number that must not change unnoticed."""

import dataclasses
from typing import Literal

import numpy as np

Better = Literal["higher", "lower", ""]


@dataclasses.dataclass(frozen=True, eq=False)
class Metric:
    """A number that was measured.

    Attributes:
        value: The number.
        better: Whether a higher or a lower one is better; "" if neither is.
        tolerance: What it may change by, unless a reference says otherwise.
        relative_tolerance: The same, as a share of the reference's value. The
            larger of both counts.
        right: Whether each test image counts, bool [N], if the number is the
            share of those that do.
    """

    value: float
    better: Better
    tolerance: float = 0.0
    relative_tolerance: float = 0.0
    right: np.ndarray | None = None


def share(right: np.ndarray) -> Metric:
    """The share of images of which something is true, bool [N].

    Half a point may be lost or won.
    """
    return Metric(float(right.mean()), "higher", 0.005, right=right)


def distance(value: float) -> Metric:
    """An error, half of which may come or go."""
    return Metric(value, "lower", relative_tolerance=0.5)


def count(value: int, better: Better) -> Metric:
    """A number that may not change at all."""
    return Metric(value, better)


def cost(value: float) -> Metric:
    """A cost, of which two in a hundred are no matter."""
    return Metric(value, "lower", relative_tolerance=0.02)


def is_share(name: str) -> bool:
    """Whether a metric of this name is a share of the test images."""
    return name.endswith(("accuracy", "agreement"))
