"""Chooses the exit that alone would do what a policy does with all of them."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class StaticExit:
    """Names an exit to which a network can be cut back.

    Attributes:
        exit: Number of the exit.
        accuracy: Its accuracy, in [0, 1].
        enough: Whether it is as accurate as the policy.
    """

    exit: int
    accuracy: float
    enough: bool


def choose(accuracies: Sequence[float], wanted: float) -> StaticExit:
    """Returns the shallowest exit that is accurate enough.

    If none is, it is the most accurate one.

    Args:
        accuracies: Accuracy of each exit on some images, [K].
        wanted: Accuracy of the policy on the same images.
    """
    enough = [k for k, each in enumerate(accuracies) if each >= wanted]
    best = max(range(len(accuracies)), key=accuracies.__getitem__)
    exit = enough[0] if enough else best
    return StaticExit(exit, accuracies[exit], bool(enough))
