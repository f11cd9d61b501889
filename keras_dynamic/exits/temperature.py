"""Temperature scaling: one number per exit that makes its softmax honest."""

import math
from dataclasses import dataclass

import numpy as np

from keras_dynamic.exits import inputs

LOWEST = 0.05
HIGHEST = 20.0
_TOLERANCE = 1e-10
_MAX_STEPS = 100


@dataclass(frozen=True)
class TemperatureFit:
    """A fitted temperature and what it did to the mean negative log-likelihood.

    Attributes:
        temperature: What to divide the logits by; in [LOWEST, HIGHEST].
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

    Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural
    Networks", section 4.2). The loss is convex in 1/T; Newton's method, kept
    inside a shrinking bracket, finds its minimum.

    Degenerate are: labels of a single class; labels that all have the largest
    logit of their row (the loss falls for ever as T goes to 0); and labels
    whose logits are on average no larger than the mean of their row (it falls
    for ever as T grows). The paper is silent on these.

    Args:
        logits: Finite numbers of one exit, [N, C].
        labels: Classes, integers [N] in [0, C).

    Raises:
        ValueError: If a shape, a label or a logit is not as said.
    """
    scores = inputs.image_logits(logits).astype(np.float64)
    labels = inputs.class_labels(labels, *scores.shape)
    scores -= scores.max(axis=1, keepdims=True)
    chosen = scores[np.arange(len(labels)), labels]

    def nll(sharpness: float) -> float:
        totals = np.exp(sharpness * scores).sum(axis=1)
        return float(np.mean(np.log(totals) - sharpness * chosen))

    def slope_and_curvature(sharpness: float) -> tuple[float, float]:
        weights = np.exp(sharpness * scores)
        weights /= weights.sum(axis=1, keepdims=True)
        mean = np.einsum("nc,nc->n", weights, scores)
        square = np.einsum("nc,nc,nc->n", weights, scores, scores)
        return float(np.mean(mean - chosen)), float(np.mean(square - mean**2))

    before = nll(1.0)
    if (
        (labels == labels[0]).all()
        or not chosen.any()
        or np.mean(scores.mean(axis=1) - chosen) >= 0.0
    ):
        return TemperatureFit(1.0, before, before, "degenerate")
    for bound, sign in ((LOWEST, 1.0), (HIGHEST, -1.0)):
        if sign * slope_and_curvature(1.0 / bound)[0] <= 0.0:
            return TemperatureFit(bound, before, nll(1.0 / bound), "at_bound")

    low, high = 1.0 / HIGHEST, 1.0 / LOWEST
    sharpness = 1.0
    for _ in range(_MAX_STEPS):
        slope, curvature = slope_and_curvature(sharpness)
        low, high = (low, sharpness) if slope > 0.0 else (sharpness, high)
        # A flat loss would send Newton's step out of the bracket.
        following = sharpness - slope / curvature if curvature > 0.0 else high
        if not low <= following <= high:
            following = math.sqrt(low * high)
        change, sharpness = abs(following - sharpness), following
        if change <= _TOLERANCE * sharpness:
            break
    return TemperatureFit(1.0 / sharpness, before, nll(sharpness), "converged")
