"""Makes logits of exits that nobody trained."""

import numpy as np

from keras_dynamic.exits.decision.outcome import outcome


def problem(seed, exits, images, grid=None):
    """Draws logits of ever better exits, labels, costs; ties on a grid."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, images)
    difficulty = rng.normal(size=images)
    margins = 0.3 + 0.5 * np.arange(exits)[:, np.newaxis] - difficulty
    logits = rng.normal(size=(exits, images, 3))
    logits[:, np.arange(images), labels] += margins
    if grid:
        logits = np.round(logits * grid) / grid
    costs = np.cumsum(rng.integers(1, 20, exits))
    return logits, labels, costs


def misleading(seed, images, exits=3, classes=6):
    """Draws logits whose early exits are surest of two classes, often wrong.

    Each image that an early exit mistakes is called class 0 or 1, with large
    logits; its answers of other classes are right, with small ones.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    logits = rng.normal(0.0, 0.5, (exits, images, classes))
    for exit in range(exits):
        last = exit == exits - 1
        wrong = rng.random(images) < (0.05 if last else 0.45 - 0.1 * exit)
        said = np.where(
            wrong, rng.integers(0, classes if last else 2, images), labels
        )
        size = 4.0 if last else np.where(said < 2, 6.0, 2.0)
        logits[exit, np.arange(images), said] += size
    return logits, labels


def achieved(policy, logits, labels, costs):
    """Returns the outcome of a policy on some images."""
    return outcome(policy.route(logits), logits, labels, costs)
