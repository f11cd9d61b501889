"""The weighted sum of the exits' cross-entropies."""

from collections.abc import Callable, Sequence

import keras


def joint(weights: Sequence[float] | None = None) -> Callable:
    """Sum over the exits of weight times mean cross-entropy.

    With all weights 1, which is the default, this is the loss of MSDNet
    (arXiv 1703.09844, section 4) and of RANet's code.

    Args:
        weights: One weight per exit, or None for 1 each.

    Returns:
        A function of `labels` [batch] and `logits`, a sequence of
        [batch, classes], that gives a float32 scalar.

    Raises:
        ValueError: On use, if there is not one weight per exit.
    """

    def loss(labels, logits):
        factors = [1.0] * len(logits) if weights is None else list(weights)
        if len(factors) != len(logits):
            raise ValueError(
                "`weights` must have one entry per exit. "
                f"Received: {len(factors)} weights for {len(logits)} exits"
            )
        total = 0.0
        for factor, exit_logits in zip(factors, logits, strict=True):
            cross_entropy = keras.losses.sparse_categorical_crossentropy(
                labels,
                keras.ops.cast(exit_logits, "float32"),
                from_logits=True,
            )
            total = total + factor * keras.ops.mean(cross_entropy)
        return total

    return loss
