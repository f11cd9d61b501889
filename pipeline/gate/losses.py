"""Finds the exits that int8 cost more accuracy than is allowed."""

import dataclasses

import numpy as np

from pipeline.gate import mcnemar

# Accuracies are shares of whole images: a loss of just what is allowed must
# not fail for the rounding of a division.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Loss:
    """Holds an exit's loss on N test images, where it is more than allowed.

    Attributes:
        exit: Number of the exit, from 0.
        before: Float accuracy, a share.
        after: Int8 accuracy, a share.
        allowed: Percentage points that the exit may lose.
        p_value: Probability that chance alone tells two equally good models
            as far apart on these images; see `mcnemar.p_value`.
    """

    exit: int
    before: float
    after: float
    allowed: float
    p_value: float

    def __str__(self) -> str:
        points = 100 * (self.before - self.after)
        return (
            f"exit {self.exit} lost {points:.2f} points in int8 "
            f"({100 * self.before:.2f} % to {100 * self.after:.2f} %; "
            f"allowed: {self.allowed:g}; by chance: p = {self.p_value:.2g})"
        )


def losses(
    truth: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    max_points: float,
) -> list[Loss]:
    """Names the exits that lost more than `max_points` percentage points.

    Args:
        truth: Labels, [N].
        before: Class that each exit of the float model gives, [K, N].
        after: Class that each exit of the int8 model gives, [K, N].
        max_points: Largest loss allowed, in percentage points.
    """
    found = []
    for number, right in enumerate(
        zip(before == truth, after == truth, strict=True)
    ):
        old, new = (float(each.mean()) for each in right)
        if 100 * (old - new) > max_points + _ROUNDING:
            chance = mcnemar.p_value(*right)
            found.append(Loss(number, old, new, max_points, chance))
    return found
