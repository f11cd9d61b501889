"""How sure an exit is: softmax probabilities and the largest of them."""

import math
from collections.abc import Sequence

import numpy as np

from keras_dynamic.exits import inputs


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Turns logits into probabilities, in float64 and without overflow.

    One vector alone gives the same bits as that vector inside a batch, so that
    a device and a simulation take the same decisions.

    Args:
        logits: Finite numbers, [..., C], C at least 1.
        temperature: What the logits are divided by; above 1 is less sure.

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
    if not finite.all():
        rows = finite.all(axis=-1)
        raise ValueError(
            "`logits` must be finite. Received: NaN or infinity in "
            f"{np.count_nonzero(~rows)} of {rows.size} rows"
        )
    scores = (scores - scores.max(axis=-1, keepdims=True)) / temperature
    weights = np.exp(scores)
    return weights / weights.sum(axis=-1, keepdims=True)


def max_probability(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Returns the largest softmax probability, [...], of logits [..., C].

    The confidence that MSDNet, RANet and their followers threshold (Huang et
    al. 2018; Yang et al. 2020). Arguments and errors are those of `softmax`.
    """
    return softmax(logits, temperature).max(axis=-1)


def confidences(
    logits: Sequence[np.ndarray], temperatures: Sequence[float]
) -> np.ndarray:
    """Returns every exit's confidence in every image, float64 [K, N].

    Args:
        logits: One [N, C] array per exit, shallow to deep.
        temperatures: One per exit, [K].

    Raises:
        ValueError: If a shape is wrong, a logit not finite, or a temperature
            not a finite positive number.
    """
    arrays = inputs.exit_logits(logits, len(temperatures))
    return np.stack(list(map(max_probability, arrays, temperatures)))
