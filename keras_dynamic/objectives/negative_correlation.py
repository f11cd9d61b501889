"""Trains the members of an ensemble to err on different images (DNCC).

Deep Negative Correlation Classification, arXiv 2212.07070, equation 8, as two
implementations of others have it.
"""

from collections.abc import Mapping
from typing import Any

import keras

from keras_dynamic.objectives.boosted import boosted
from keras_dynamic.objectives.cross_entropy import cross_entropy
from keras_dynamic.objectives.objective import Extended, Objective
from keras_dynamic.objectives.zero_time_waste import zero_time_waste

_ENSEMBLES = {"boosted": boosted, "zero_time_waste": zero_time_waste}


def negative_correlation(
    weight: float = 0.5,
    ensemble: str = "boosted",
    arguments: Mapping[str, Any] | None = None,
) -> Objective:
    """Adds to an ensemble's objective a reward for members that disagree.

    The members are the classifiers that the ensembles of `ensemble` consist of:
    their own logits, before they are combined. With the probability p_k of the
    true class by member k, and its mean pbar over the members, which gets no
    gradient, the loss is that of `ensemble` plus

        sum_k mean( CE_k - weight * D_k ),
        D_k = log(pbar / p_k) + p_k / pbar - 1.

    D_k is 0 where a member says what all say, and positive elsewhere. It
    rewards the member that is wrong as much as the one that is right: use it
    only where ensembles are deployed, as they are here. With a weight up to 1
    no member gains by being wrong about everything.

    Args:
        weight: Of the reward, from 0 to 1; 0.5 in the implementations.
        ensemble: "boosted" or "zero_time_waste".
        arguments: Its arguments; None for its defaults.

    Raises:
        ValueError: If an argument is not as said; by `extend`, as `ensemble`.
    """
    if not 0 <= weight <= 1:
        raise ValueError(
            f"`weight` must be from 0 to 1. Received: weight={weight!r}"
        )
    if ensemble not in _ENSEMBLES:
        raise ValueError(
            f"`ensemble` must be one of {tuple(_ENSEMBLES)}. "
            f"Received: ensemble={ensemble!r}"
        )
    try:
        together = _ENSEMBLES[ensemble](**dict(arguments or {}))
    except TypeError as error:
        raise ValueError(
            f"`arguments` must be those of {ensemble!r}: {error}. "
            f"Received: {dict(arguments or {})!r}"
        ) from error

    def extend(model: keras.Model) -> Extended:
        inner = together.extend(model)
        outputs = list(inner.model.outputs)
        count = len(outputs)
        exits = len(model.outputs)
        # Those that the ensemble's own loss looks at, or the model's exits.
        first = exits if count > exits else count
        if count == exits:
            outputs += model.outputs
        trained = keras.Model(inner.model.input, outputs, name=model.name)

        def loss(labels, outputs, taught=None):
            total = inner.loss(labels, outputs[:count], taught)
            return total + disagreement(labels, outputs[first:], weight)

        return Extended(trained, loss)

    return Objective(extend, together.teacher)


def disagreement(labels, members, weight: float):
    """Returns the sum over members of CE_k - weight * D_k, meaned over images.

    Args:
        labels: Integers [batch], or probabilities [batch, classes], which
            weigh what is said of each class.
        members: Logits [batch, classes] of each member.
        weight: Of D_k.

    Returns:
        A float32 scalar.
    """
    ops = keras.ops
    members = [ops.cast(each, "float32") for each in members]
    if len(labels.shape) == 1:
        labels = ops.one_hot(labels, members[0].shape[-1])
    labels = ops.cast(labels, "float32")
    logs = [ops.log_softmax(each) for each in members]
    # A sum in logarithms: a probability may be too small for float32.
    together = ops.logsumexp(ops.stack(logs), axis=0) - ops.log(
        float(len(members))
    )
    together = ops.stop_gradient(together)
    total = 0.0
    for logits, each in zip(members, logs, strict=True):
        apart = each - together
        different = ops.sum(labels * (ops.exp(apart) - 1.0 - apart), axis=-1)
        total += cross_entropy(labels, logits) - weight * ops.mean(different)
    return total
