"""Measures how well a confidence tells right answers from wrong ones.

An exit policy compares confidences with a threshold, so what counts is their
order. Calibration is another matter: Kubaty et al. 2025, "Failure Prediction
Is a Better Proxy than Calibration", find that it says little about early exits
and that the ranking of errors says more.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ranking:
    """Holds the quality of one exit's confidence on some images.

    Attributes:
        auroc: Probability that a right answer is surer than a wrong one, a tie
            counted half; 0.5 is chance. None if all answers are right, or all
            wrong, and there is nothing to tell apart.
        aurc: Area under the risk-coverage curve: the error rate of the n
            surest images, averaged over n = 1 .. N; lower is better.
        excess_aurc: `aurc` less the area of a confidence that puts all right
            answers first; 0 is perfect, whatever the accuracy.
    """

    auroc: float | None
    aurc: float
    excess_aurc: float


def ranking(confidences: np.ndarray, right: np.ndarray) -> Ranking:
    """Measures a confidence against what was right, in O(N log N).

    AURC is that of Geifman and El-Yaniv 2017 ("Selective Classification for
    Deep Neural Networks", section 2) at every number of images. The excess is
    E-AURC of Geifman et al. 2019 ("Bias-Reduced Uncertainty Estimation for Deep
    Neural Classifiers", section 3), against the exact optimum and not their
    approximation. Both papers are silent on ties: images of equal confidence
    count here as in random order, with the expected error rate.

    Args:
        confidences: Finite numbers, [N], N at least 1.
        right: Whether each answer is right, bool [N].

    Raises:
        ValueError: If a shape, a dtype or a value is not as said.
    """
    sure = np.asarray(confidences, dtype=np.float64)
    right = np.asarray(right)
    if sure.ndim != 1 or sure.size == 0 or not np.isfinite(sure).all():
        raise ValueError(
            "`confidences` must be finite numbers [N], N at least 1. "
            f"Received: shape {sure.shape}, "
            f"{np.count_nonzero(~np.isfinite(sure))} not finite"
        )
    if right.shape != sure.shape or right.dtype != bool:
        raise ValueError(
            f"`right` must be booleans of shape {sure.shape}. "
            f"Received: {right.dtype} of shape {right.shape}"
        )
    order = np.argsort(-sure)
    # Where each group of equal confidences starts, the surest first.
    starts = np.flatnonzero(np.diff(sure[order], prepend=np.inf))
    sizes = np.diff(starts, append=sure.size)
    hits = np.add.reduceat(right[order].astype(np.int64), starts)
    errors = sizes - hits
    aurc = _aurc(np.repeat(errors / sizes, sizes))
    perfect = np.arange(sure.size) >= hits.sum()
    return Ranking(
        auroc=_auroc(hits, errors),
        aurc=aurc,
        # Rounding must not make it negative.
        excess_aurc=max(aurc - _aurc(perfect), 0.0),
    )


def _aurc(errors: np.ndarray) -> float:
    """Averages the error rates of the first 1, 2, ..., N images."""
    risks = np.cumsum(errors) / np.arange(1, errors.size + 1)
    return float(risks.mean())


def _auroc(hits: np.ndarray, errors: np.ndarray) -> float | None:
    """Counts the pairs, right above wrong, in groups from the surest on."""
    pairs = int(hits.sum()) * int(errors.sum())
    if pairs == 0:
        return None
    less_sure = errors.sum() - np.cumsum(errors)
    # In halves of a pair, which are integers.
    halves = int((hits * (2 * less_sure + errors)).sum())
    return halves / (2 * pairs)
