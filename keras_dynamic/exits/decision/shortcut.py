"""Decides by an exit's int8 logits alone whether an image stops there.

The softmax of ten numbers can take longer than the segment that gave them. The
256 values of an int8 logit have 256 weights exp(scale * value / temperature),
which are looked up; confidences are quotients of their sums.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_dynamic.exits.decision.policy import Policy

# Function from an exit's int8 logits to whether the image stops, or None where
# that is too close to tell without the softmax.
Shortcut = Callable[[Any], bool | None]

# How much of the largest weight a difference must be to be certain: rounding
# is far less, in a softmax and in sums of up to a million weights.
_CERTAIN = 1e-9
# Above this the smallest weight, as a share of the largest, may vanish.
_MAX_RANGE = 500.0
# Up to so many classes Python's sum takes less time than numpy's calls.
_FEW = 48


def shortcut(
    policy: Policy, exit: int, scale: float, classes: int
) -> Shortcut | None:
    """Returns a function that decides as `policy.step` does, or says None.

    Args:
        policy: Whose thresholds and temperatures count.
        exit: Index of the exit, from 0.
        scale: What one step of an int8 logit stands for.
        classes: The number of logits, C.

    Returns:
        A function of C int8 logits, a memoryview of format "b"; it returns
        whether an image of these stops at the exit, or None where only the
        softmax can tell. None instead of a function for a measure that is no
        quotient of sums, or weights that double precision cannot hold.
    """
    step = scale / policy.temperatures[exit]
    if policy.kind not in _GAINS or not _CERTAIN < step < _MAX_RANGE / 255:
        return None
    gain, bar = _GAINS[policy.kind], policy.bar(exit)
    # In the order of the bytes: a negative index counts from the end.
    values = np.arange(256, dtype=np.uint8).view(np.int8)
    weights = np.exp(step * values)
    if classes > _FEW:
        return _many(weights, gain, bar)
    return _few(weights.tolist(), gain, bar)


def _few(weights, gain, bar):
    weight = weights.__getitem__

    def decide(logits: memoryview) -> bool | None:
        found = sorted(map(weight, logits))
        return _decided(gain(found), bar * sum(found), found[-1])

    return decide


def _many(weights, gain, bar):
    def decide(logits: memoryview) -> bool | None:
        found = weights.take(np.frombuffer(logits, np.uint8))
        highest = np.partition(found, (-2, -1))
        return _decided(gain(highest), bar * found.sum(), highest[-1])

    return decide


def _decided(gain, needed, largest):
    difference = gain - needed
    if abs(difference) <= _CERTAIN * largest:
        return None
    return bool(difference > 0)


def _largest(rising):
    return rising[-1]


def _lead(rising):
    return rising[-1] - rising[-2] if len(rising) > 1 else rising[-1]


# What of the weights, in rising order at their end, over their sum is the
# confidence of a kind of policy.
_GAINS = {"max_probability": _largest, "margin": _lead}
