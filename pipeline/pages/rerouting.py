"""Packs data with which the browser routes the test images again.

A threshold is compared with a score of float64. The page gets neither. For each
image it gets the number of images whose score at that exit is lower, its rank;
and for each threshold the number of images whose score is lower, its bar. An
image stops where its rank is at least the bar, which is so exactly where its
score is at least the threshold. These are small integers, and JavaScript
decides as Python does.
"""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_dynamic import exits
from pipeline.results.predictions import Predictions

# What the ranks and answers may take, in bytes before base64.
_BUDGET = 330_000
# Ranks are 16 bits.
_MOST = 65_535


def subset(images: int, exits: int, classes: int) -> np.ndarray:
    """Returns the images that the page can hold, increasing indices.

    These are all of them, or evenly spaced ones.
    """
    each = exits * (2 + _answer_type(classes).itemsize)
    most = min(images, _BUDGET // each, _MOST)
    return np.arange(most) * images // most


def pack(
    said: Predictions,
    scores: np.ndarray,
    policies: Mapping[str, Iterable[exits.Policy]],
) -> dict[str, Any]:
    """Returns images and policies as JSON.

    Args:
        said: Logits of each exit for N images.
        scores: Scores that the policies compare, float64 [K, N].
        policies: Policies that differ in thresholds and enabled exits alone, by
            the name of a slider.

    Returns:
        "labels", "answers" and "ranks": little-endian arrays [N], [K, N] and
        [K, N] in base64, of 8 or 16, 8 or 16, and 16 bits; "images", "exits",
        "classes"; and per policy "thresholds", "enabled", "bars" [K] and
        "fitted".
    """
    count, images, classes = said.logits.shape
    answer = _answer_type(classes)
    sorted_scores = np.sort(scores, axis=1)
    ranks = _lower(sorted_scores, scores)
    return {
        "images": images,
        "exits": count,
        "classes": classes,
        "answer_bits": 8 * answer.itemsize,
        "labels": _base64(said.labels.astype(answer)),
        "answers": _base64(said.logits.argmax(axis=-1).astype(answer)),
        "ranks": _base64(ranks.astype("<u2")),
        "policies": {
            name: [_policy(each, sorted_scores) for each in members]
            for name, members in policies.items()
        },
    }


def _policy(policy: exits.Policy, sorted_scores: np.ndarray) -> dict[str, Any]:
    bars = _lower(sorted_scores, np.array(policy.thresholds)[:, None])[:, 0]
    # No rank reaches the number of images.
    bars[~np.array(policy.enabled)] = sorted_scores.shape[1]
    return {
        "thresholds": list(policy.thresholds),
        "enabled": list(policy.enabled),
        "bars": bars.tolist(),
        "fitted": dict(policy.fitted or {}),
    }


def _lower(sorted_scores: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Counts the scores below values, [K, N] and [K, M] to [K, M]."""
    return np.stack(
        [
            np.searchsorted(row, value, side="left")
            for row, value in zip(sorted_scores, values, strict=True)
        ]
    )


def _answer_type(classes: int) -> np.dtype:
    return np.dtype("u1" if classes <= 256 else "<u2")


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
