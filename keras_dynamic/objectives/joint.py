"""The weighted sum of the exits' cross-entropies."""

from collections.abc import Sequence

import keras

from keras_dynamic.objectives.cross_entropy import cross_entropy
from keras_dynamic.objectives.objective import Extended, Objective


def joint(weights: Sequence[float] | None = None) -> Objective:
    """Sum over the exits of weight times mean cross-entropy.

    With all weights 1, which is the default, this is the loss of MSDNet
    (arXiv 1703.09844, section 4) and of RANet's code.

    Args:
        weights: One weight per exit, or None for 1 each.

    Raises:
        ValueError: By `extend`, if there is not one weight per exit.
    """

    def extend(model: keras.Model) -> Extended:
        exits = len(model.outputs)
        if weights is not None and len(weights) != exits:
            raise ValueError(
                "`weights` must have one entry per exit. "
                f"Received: {len(weights)} weights for {exits} exits"
            )
        factors = [1.0] * exits if weights is None else weights

        def loss(labels, outputs, taught=None):
            return sum(
                factor * cross_entropy(labels, logits)
                for factor, logits in zip(factors, outputs, strict=True)
            )

        return Extended(model, loss)

    return Objective(extend)
