"""Scores exits by a learned measure of confidence, linear per exit.

This code runs on a device; `scheduler_fit` learns the numbers.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from keras_dynamic.exits.decision import confidence

# Besides the probabilities and the scores of the exits before: the largest
# probability, and 1 - H / ln C.
_SUMMARIES = 2


@dataclass(frozen=True)
class Scheduler:
    """Gives EENet's scores (Ilhan et al., WACV 2024), a `confidence.Measure`.

    At exit k, from 0, with the probabilities p [C] at the exit's temperature:

        score = weights[k] . [p, max p, 1 - H(p) / ln C, scores before] + bias

    clipped to [0, 1]. `scheduler_fit` scales weights and biases so that no
    probabilities can leave that range: no two scores become equal by clipping.
    Every score counts among those before, also that of a disabled exit.

    Attributes:
        weights: One tuple per exit, of C + 2 + k finite numbers.
        biases: One finite number per exit.

    Raises:
        ValueError: If a value breaks one of these rules.
    """

    weights: tuple[tuple[float, ...], ...]
    biases: tuple[float, ...]

    def __post_init__(self) -> None:
        biases = _numbers(self.biases)
        if biases is None or not biases:
            raise ValueError(
                "`biases` must be a list or tuple of finite numbers, one per "
                f"exit. Received: {self.biases!r}"
            )
        rows: Any = ()
        if isinstance(self.weights, list | tuple):
            rows = tuple(map(_numbers, self.weights))
        if (
            len(rows) != len(biases)
            or None in rows
            or len(rows[0]) <= _SUMMARIES
            or [len(row) for row in rows]
            != [len(rows[0]) + exit for exit in range(len(rows))]
        ):
            lengths = [len(row) if row else None for row in rows]
            raise ValueError(
                "`weights` must be lists or tuples of finite numbers, for each "
                f"of {len(biases)} exits one more than for the exit before, "
                f"from {_SUMMARIES} + the number of classes on. "
                f"Received: lengths {lengths}"
            )
        object.__setattr__(self, "weights", rows)
        object.__setattr__(self, "biases", biases)

    @functools.cached_property
    def _rows(self) -> tuple[np.ndarray, ...]:
        return tuple(map(np.array, self.weights))

    @property
    def exits(self) -> int:
        """Counts the exits, K."""
        return len(self.biases)

    @property
    def classes(self) -> int:
        """Counts the classes, C."""
        return len(self.weights[0]) - _SUMMARIES

    @property
    def memory(self) -> int:
        """Counts the numbers kept of an image: the scores before the last."""
        return self.exits - 1

    def __call__(
        self, exit: int, probabilities: np.ndarray, state: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns scores [...] and all scores so far, [..., K - 1].

        Raises:
            ValueError: If the number of classes is not that of the weights.
        """
        if probabilities.shape[-1] != self.classes:
            raise ValueError(
                f"`probabilities` must be of {self.classes} classes, as the "
                f"scheduler is. Received: {probabilities.shape[-1]}"
            )
        seen = features(probabilities, state[..., :exit])
        # Not a matrix product: its last bits depend on the number of rows.
        scores = (seen * self._rows[exit]).sum(axis=-1) + self.biases[exit]
        scores = np.minimum(np.maximum(scores, 0.0), 1.0)
        if exit < self.memory:
            state = state.copy()
            state[..., exit] = scores
        return scores, state

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as in the "policy" of a bundle's manifest."""
        return {
            "weights": [list(row) for row in self.weights],
            "biases": list(self.biases),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Scheduler":
        """Returns the scheduler that `to_dict` wrote, through JSON or not.

        Raises:
            ValueError: If `values` is not what `to_dict` writes.
        """
        if not isinstance(values, Mapping) or set(values) != {
            "weights",
            "biases",
        }:
            received = (
                sorted(values) if isinstance(values, Mapping) else repr(values)
            )
            raise ValueError(
                "`scheduler` must be a mapping with the keys weights and "
                f"biases. Received: {received}"
            )
        return cls(values["weights"], values["biases"])


def features(probabilities: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Returns the features that an exit's score is made of, [..., C + 2 + k].

    Args:
        probabilities: Probabilities of exit k, [..., C].
        before: The scores of the exits before it, [..., k].
    """
    largest = confidence.largest(probabilities)
    certainty = confidence.certainty(probabilities)
    return np.concatenate(
        [
            probabilities,
            largest[..., np.newaxis],
            certainty[..., np.newaxis],
            before,
        ],
        axis=-1,
    )


def _numbers(values: Any) -> tuple[float, ...] | None:
    """Returns plain finite numbers, or None if there is anything else."""
    if not isinstance(values, list | tuple):
        return None
    if not all(
        isinstance(each, Real) and not isinstance(each, bool) for each in values
    ):
        return None
    try:
        numbers = tuple(map(float, values))
    except OverflowError:  # An integer that no float can hold.
        return None
    return numbers if all(map(math.isfinite, numbers)) else None
