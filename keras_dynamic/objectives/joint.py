"""Trains all exits on the weighted sum of their cross-entropies."""

from collections.abc import Sequence

import keras

from keras_dynamic.graph import cost
from keras_dynamic.objectives.cross_entropy import cross_entropy
from keras_dynamic.objectives.objective import Extended, Objective


def joint(weights: Sequence[float] | str | None = None) -> Objective:
    """Makes the objective that sums weight times mean cross-entropy of exits.

    With all weights 1, which is the default, this is the loss of MSDNet
    (arXiv 1703.09844, section 4) and of RANet's code.

    Args:
        weights: One weight per exit; "cost" for the multiply-adds up to each
            exit as a share of the last one's, so that in a short training the
            cheap exits do not have their way at the cost of the last one; or
            None for 1 each.

    Raises:
        ValueError: If `weights` is another word; by `extend`, if there is not
            one weight per exit.
    """
    if isinstance(weights, str) and weights != "cost":
        raise ValueError(
            '`weights` must be numbers, "cost" or None. '
            f"Received: weights={weights!r}"
        )

    def extend(model: keras.Model) -> Extended:
        factors = _factors(weights, model)

        def loss(labels, outputs, taught=None):
            return sum(
                factor * cross_entropy(labels, logits)
                for factor, logits in zip(factors, outputs, strict=True)
            )

        return Extended(model, loss)

    return Objective(extend)


def _factors(weights, model):
    """Returns the weight of each exit of a model."""
    exits = len(model.outputs)
    if weights is None:
        return [1.0] * exits
    if weights == "cost":
        madds = [each.madds for each in cost.exit_costs(model)]
        return [each / madds[-1] for each in madds]
    if len(weights) != exits:
        raise ValueError(
            "`weights` must have one entry per exit. "
            f"Received: {len(weights)} weights for {exits} exits"
        )
    return weights
