"""Smooths labels, which then leave some probability to the other classes.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
CVPR 2016, arXiv 1512.00567, section 7.
"""

import keras

from keras_dynamic.objectives.objective import Extended, Objective


def label_smoothing(objective: Objective, share: float) -> Objective:
    """Gives every cross-entropy of an objective smoothed labels.

    The true class gets the probability 1 - share + share / classes, every other
    one share / classes. A teacher's logits are not changed. It is no objective:
    it goes with any of them.

    Args:
        objective: An objective from a builder of `keras_dynamic.objectives`.
        share: Probability that all classes share, from 0 to below 1; 0 changes
            nothing.

    Raises:
        ValueError: If the share is out of its range.
    """
    if not 0 <= share < 1:
        raise ValueError(
            "`label_smoothing` must be at least 0 and below 1. "
            f"Received: label_smoothing={share!r}"
        )
    if not share:
        return objective

    def extend(model: keras.Model) -> Extended:
        inner = objective.extend(model)

        def loss(labels, outputs, taught=None):
            smooth = smoothed(labels, outputs[0].shape[-1], share)
            return inner.loss(smooth, outputs, taught)

        return Extended(inner.model, loss)

    return Objective(extend, objective.teacher, objective.labels)


def smoothed(labels, classes: int, share: float):
    """Returns the probabilities of smoothed labels.

    Args:
        labels: Integers [batch].
        classes: How many classes there are.
        share: Probability that all classes share.

    Returns:
        float32 [batch, classes].
    """
    true = keras.ops.one_hot(labels, classes, dtype="float32")
    return (1 - share) * true + share / classes
