"""Measures patience: an image stops when exits in a row agree on its class."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

_Numbers = TypeVar("_Numbers", float, np.ndarray)


@dataclass(frozen=True)
class Patience:
    """Counts exits since the top class changed, as a `confidence.Measure`.

    "BERT Loses Patience" (Zhou et al., NeurIPS 2020, section 3.2) counts the
    exits whose class is that of the exit before and starts anew at 0 when it
    changes; an image stops when the count reaches the patience t. So t + 1
    exits agree. A score must lie in [0, 1] and here is

        1 - 1 / a, where the last a exits agree,

    which is t / (t + 1): 0 at the first exit, 1/2 where two agree, 2/3 where
    three do. Disabled exits are counted like others.
    """

    # The class of the exit before, and how many exits had it.
    memory = 2

    def __call__(
        self, exit: int, probabilities: np.ndarray, state: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns scores [...] and the classes and their runs, [..., 2]."""
        classes = probabilities.argmax(axis=-1)
        # Before the first exit the run is 0, whatever the class.
        runs = np.where(state[..., 0] == classes, state[..., 1] + 1.0, 1.0)
        state = np.empty_like(state)
        state[..., 0], state[..., 1] = classes, runs
        return threshold(runs), state


def threshold(agreeing: _Numbers) -> _Numbers:
    """Returns the score of images whose last exits agree.

    Args:
        agreeing: How many exits agree, from 1. As the threshold of a policy of
            kind "patience", the score stops an image where so many agree.
    """
    return 1.0 - 1.0 / agreeing
