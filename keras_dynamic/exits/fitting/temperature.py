"""Fits temperatures: one number per exit that makes its softmax honest."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_dynamic.exits.decision import checks

LOWEST = 0.05
HIGHEST = 20.0
_TOLERANCE = 1e-6
_MAX_STEPS = 100
# Logits that are worked on at once: half a megabyte stays in the cache.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class TemperatureFit:
    """Holds a fitted temperature, and the loss before and after.

    The loss is the mean negative log-likelihood.

    Attributes:
        temperature: Number to divide the logits by; in [LOWEST, HIGHEST].
        nll_before: Nats per image at temperature 1.
        nll_after: Nats per image at `temperature`.
        status: "converged"; "at_bound" if the minimum lies outside of the
            bounds, whose nearer one is taken; "degenerate" if these images
            cannot tell, and the temperature stays 1.
    """

    temperature: float
    nll_before: float
    nll_after: float
    status: str


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> TemperatureFit:
    """Finds the temperature with the lowest negative log-likelihood.

    This is temperature scaling (Guo et al. 2017, "On Calibration of Modern
    Neural Networks", section 4.2). The loss is convex in 1/T; Newton's method,
    kept inside a shrinking bracket, finds its minimum.

    Degenerate are: labels of a single class; labels that all have the largest
    logit of their row (the loss falls for ever as T goes to 0); and labels
    whose logits are on average no larger than the mean of their row (it falls
    for ever as T grows). The paper is silent on these.

    Args:
        logits: Finite numbers of one exit, [N, C], C at least 2.
        labels: Classes, integers [N] in [0, C).

    Raises:
        ValueError: If a shape, a label or a logit is not as said.
    """
    logits = checks.image_logits(logits, classes=2)
    labels = checks.class_labels(labels, *logits.shape)
    loss = _Loss(logits, labels)
    slope, curvature, before = loss.at(1.0)
    if (labels == labels[0]).all() or loss.cannot_tell():
        return TemperatureFit(1.0, before, before, "degenerate")
    bound = HIGHEST if slope > 0.0 else LOWEST
    outward, _, at_bound = loss.at(1.0 / bound)
    if outward == 0.0 or (outward > 0.0) == (slope > 0.0):
        return TemperatureFit(bound, before, at_bound, "at_bound")

    low, high = 1.0 / HIGHEST, 1.0 / LOWEST
    sharpness, after = 1.0, before
    for _ in range(_MAX_STEPS):
        low, high = (low, sharpness) if slope > 0.0 else (sharpness, high)
        # A flat loss would send Newton's step out of the bracket.
        following = sharpness - slope / curvature if curvature > 0.0 else high
        if not low <= following <= high:
            following = math.sqrt(low * high)
        change, sharpness = following - sharpness, following
        if abs(change) <= _TOLERANCE * sharpness:
            # The square of this change is below the last digits.
            after += change * (slope + change * curvature / 2)
            break
        slope, curvature, after = loss.at(sharpness)
    return TemperatureFit(1.0 / sharpness, before, after, "converged")


class _Loss:
    """Computes the mean negative log-likelihood by 1 / temperature.

    Logits are taken in blocks, so that no copy of them all is made.
    """

    def __init__(self, logits: np.ndarray, labels: np.ndarray):
        self._logits = logits
        self._labels = labels
        self._size = max(1, _BLOCK // logits.shape[1])
        self._top = logits.max(axis=1).astype(np.float64)
        chosen = logits[np.arange(len(labels)), labels].astype(np.float64)
        self._chosen = chosen - self._top

    def cannot_tell(self) -> bool:
        """Tells whether the loss falls for ever in one direction."""
        if not self._chosen.any():
            return True
        total = sum(scores.sum() for scores, _ in self._blocks())
        return total / self._logits.shape[1] >= self._chosen.sum()

    def at(self, sharpness: float) -> tuple[float, float, float]:
        """Returns slope, curvature and value; they are means over images."""
        sums = np.zeros(3)
        for scores, chosen in self._blocks():
            weights = np.exp(sharpness * scores)
            totals = np.einsum("nc->n", weights)
            mean = np.einsum("nc,nc->n", weights, scores) / totals
            square = np.einsum("nc,nc,nc->n", weights, scores, scores) / totals
            sums += (
                (mean - chosen).sum(),
                (square - mean**2).sum(),
                (np.log(totals) - sharpness * chosen).sum(),
            )
        return tuple((sums / len(self._labels)).tolist())

    def _blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields scores of at most 0, float64 [B, C], and the labels', [B]."""
        for start in range(0, len(self._labels), self._size):
            rows = slice(start, start + self._size)
            scores = np.subtract(
                self._logits[rows],
                self._top[rows, np.newaxis],
                dtype=np.float64,
            )
            yield scores, self._chosen[rows]
