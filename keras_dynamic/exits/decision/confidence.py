"""Measures how sure an exit is, from its softmax probabilities."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from keras_dynamic.exits.decision import checks

# Probabilities that are worked on at once: half a megabyte stays in the cache.
_BLOCK = 1 << 16


class Measure(Protocol):
    """Tells how sure an exit is of images, in [0, 1]; higher is surer.

    It sees an image's exits in turn, and may keep a few numbers of each image
    from one exit to the next. Its score of an image does not depend on the
    others beside it, to the last bit: a device and a simulation decide alike.
    """

    @property
    def memory(self) -> int:
        """Counts the numbers that are kept of an image, M; 0 if it needs none.

        At the first exit they are zeros.
        """

    def __call__(
        self, exit: int, probabilities: np.ndarray, state: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns scores and the numbers to keep.

        Args:
            exit: Index of the exit, from 0, shallow to deep.
            probabilities: The exit's `softmax`, float64 [..., C].
            state: The numbers kept at the exit before, float64 [..., M].

        Returns:
            Scores in [0, 1], [...], and the new state, [..., M].
        """


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Turns logits into probabilities, in float64 and without overflow.

    One vector alone gives the same bits as that vector inside a batch, so that
    a device and a simulation take the same decisions.

    Args:
        logits: Finite numbers, [..., C], C at least 1.
        temperature: Number that the logits are divided by; above 1 is less
            sure.

    Returns:
        float64 probabilities, [..., C].

    Raises:
        ValueError: If a logit is NaN or infinite, if there is no class, or if
            `temperature` is not a finite positive number.
    """
    if not 0.0 < temperature < math.inf:
        raise ValueError(
            "`temperature` must be a finite positive number. "
            f"Received: {temperature}"
        )
    # Row-major, because the order of a sum decides its last bit.
    scores = np.ascontiguousarray(logits, dtype=np.float64)
    if scores.shape[-1] == 0:
        raise ValueError(
            "`logits` must have at least one class on the last axis. "
            f"Received: shape {scores.shape}"
        )
    finite = np.isfinite(scores)
    # For a single image the methods `all`, `max` and `sum` are slower.
    if not np.logical_and.reduce(finite, axis=None):
        rows = finite.all(axis=-1)
        raise ValueError(
            "`logits` must be finite. Received: NaN or infinity in "
            f"{np.count_nonzero(~rows)} of {rows.size} rows"
        )
    top = np.maximum.reduce(scores, axis=-1, keepdims=True)
    weights = np.exp((scores - top) / temperature)
    return weights / np.add.reduce(weights, axis=-1, keepdims=True)


def max_probability(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Returns the largest softmax probability, [...], of logits [..., C].

    MSDNet, RANet and their followers compare this confidence with thresholds
    (Huang et al. 2018; Yang et al. 2020). Arguments and errors are those of
    `softmax`.
    """
    return largest(softmax(logits, temperature))


def margin(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Returns how far the two largest probabilities are apart, [...].

    It is in [0, 1], for logits [..., C]; 1 for a single class. The gates of
    JEI-DNN take it as an input (Regol et al. 2024); Jazbec et al. 2024 call it
    "Top-Diff". Arguments and errors are those of `softmax`.
    """
    return lead(softmax(logits, temperature))


def entropy_confidence(
    logits: np.ndarray, temperature: float = 1.0
) -> np.ndarray:
    """Returns one minus the entropy's share of its maximum, [...].

    It is 1 - H / ln C for logits [..., C], as in EENet (Ilhan et al. 2024): 0
    if all classes are equally probable, 1 if one is certain or the only one.
    Arguments and errors are those of `softmax`.
    """
    return certainty(softmax(logits, temperature))


def largest(probabilities: np.ndarray) -> np.ndarray:
    """Returns the largest of probabilities [..., C], as `max_probability`."""
    return np.maximum.reduce(probabilities, axis=-1)


def lead(probabilities: np.ndarray) -> np.ndarray:
    """Returns the largest less the second of [..., C], as `margin`."""
    if probabilities.shape[-1] == 1:
        return probabilities[..., 0]
    highest = np.partition(probabilities, (-2, -1), axis=-1)
    return highest[..., -1] - highest[..., -2]


def certainty(probabilities: np.ndarray) -> np.ndarray:
    """Returns 1 - H / ln C of [..., C], as `entropy_confidence`."""
    classes = probabilities.shape[-1]
    if classes == 1:
        return probabilities[..., 0]
    # The product with p below is then 0 at p = 0, which is its limit.
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    entropy = -(probabilities * logarithms).sum(axis=-1)
    # Rounding can lift the entropy above its maximum.
    return np.maximum(1.0 - entropy / math.log(classes), 0.0)


@dataclass(frozen=True)
class Memoryless:
    """Measures confidence by one exit's probabilities alone, a `Measure`.

    Attributes:
        score: Function from probabilities [..., C] to scores [...].
    """

    score: Callable[[np.ndarray], np.ndarray]
    memory = 0

    def __call__(
        self, exit: int, probabilities: np.ndarray, state: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the scores, and the empty state as it is."""
        return self.score(probabilities), state


MAX_PROBABILITY = Memoryless(largest)


def confidences(
    logits: Sequence[np.ndarray],
    temperatures: Sequence[float],
    measure: Measure = MAX_PROBABILITY,
) -> np.ndarray:
    """Returns every exit's confidence in every image, float64 [K, N].

    Args:
        logits: One [N, C] array per exit, shallow to deep.
        temperatures: One per exit, [K].
        measure: The measure of confidence.

    Raises:
        ValueError: If a shape is wrong, a logit not finite, or a temperature
            not a finite positive number.
    """
    arrays = checks.exit_logits(logits, len(temperatures))
    images, classes = arrays[0].shape
    found = np.empty((len(arrays), images))
    size = max(1, _BLOCK // classes)
    for start in range(0, images, size):
        rows = slice(start, start + size)
        state = np.zeros((len(arrays[0][rows]), measure.memory))
        for exit, array in enumerate(arrays):
            probabilities = softmax(array[rows], temperatures[exit])
            found[exit, rows], state = measure(exit, probabilities, state)
    return found
