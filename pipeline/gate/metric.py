"""Describes numbers that must not change unnoticed."""

import dataclasses
from typing import Literal

import numpy as np

Better = Literal["higher", "lower", ""]


@dataclasses.dataclass(frozen=True, eq=False)
class Metric:
    """Holds a number that was measured.

    Attributes:
        value: The number.
        better: Whether a higher or a lower one is better; "" if neither is.
        tolerance: Change allowed, unless a reference says otherwise.
        relative_tolerance: Change allowed, as a share of the reference's
            value. The larger of both counts.
        right: Whether each test image counts, bool [N], if the number is the
            share of those that do.
    """

    value: float
    better: Better
    tolerance: float = 0.0
    relative_tolerance: float = 0.0
    right: np.ndarray | None = None


def share(right: np.ndarray) -> Metric:
    """Makes the share of images of which something is true, bool [N].

    Half a point may be lost or won.
    """
    return Metric(float(right.mean()), "higher", 0.005, right=right)


def distance(value: float) -> Metric:
    """Makes an error, half of which may come or go."""
    return Metric(value, "lower", relative_tolerance=0.5)


def count(value: int, better: Better) -> Metric:
    """Makes a number that may not change at all."""
    return Metric(value, better)


def cost(value: float) -> Metric:
    """Makes a cost that may change by two in a hundred."""
    return Metric(value, "lower", relative_tolerance=0.02)


def is_share(name: str) -> bool:
    """Tells whether a metric of this name is a share of the test images."""
    return name.endswith(("accuracy", "agreement"))
