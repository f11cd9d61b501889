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


def margin(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Returns how far the two largest probabilities are apart, [...].

    In [0, 1], of logits [..., C]; 1 for a single class. An input of the gates
    of JEI-DNN (Regol et al. 2024); "Top-Diff" in Jazbec et al. 2024. Arguments
    and errors are those of `softmax`.
    """
    probabilities = softmax(logits, temperature)
    if probabilities.shape[-1] == 1:
        return probabilities[..., 0]
    highest = np.partition(probabilities, (-2, -1), axis=-1)
    return highest[..., -1] - highest[..., -2]


def entropy_confidence(
    logits: np.ndarray, temperature: float = 1.0
) -> np.ndarray:
    """Returns one minus the entropy's share of its maximum, [...].

    1 - H / ln C for logits [..., C], as in EENet (Ilhan et al. 2024): 0 if all
    classes are equally probable, 1 if one is certain or the only one.
    Arguments and errors are those of `softmax`.
    """
    probabilities = softmax(logits, temperature)
    classes = probabilities.shape[-1]
    if classes == 1:
        return probabilities[..., 0]
    # The product with p below is then 0 at p = 0, which is its limit.
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    entropy = -(probabilities * logarithms).sum(axis=-1)
    # Rounding can lift the entropy above its maximum.
    return np.maximum(1.0 - entropy / math.log(classes), 0.0)


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
