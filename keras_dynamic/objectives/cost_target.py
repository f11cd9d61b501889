"""Trains gates to spend, on the mean, a share of the multiply-adds.

It is for networks such as LC-Net (Xia et al., "Fully Dynamic Inference with
Deep Neural Networks", IEEE TETC 2022, arXiv 2007.15151), of which the part of
the loss that counts operations could not be read. The squared distance from the
target is that of LAUDNet (Han et al., "Latency-aware Unified Dynamic Networks
for Efficient Image Recognition", TPAMI 2024, arXiv 2308.15949); a gate counts
as in stochastic gates (Yamada et al., "Feature Selection using Stochastic
Gates", ICML 2020, arXiv 1810.04247).
"""

import math
from collections.abc import Sequence

import keras

from keras_dynamic.graph import gating
from keras_dynamic.objectives.joint import joint
from keras_dynamic.objectives.objective import Extended, Objective


def cost_target(
    target: float,
    weight: float = 30.0,
    weights: Sequence[float] | str | None = None,
    bounds: float = 0.0,
) -> Objective:
    """Makes an objective of cross-entropies and a target for the mean cost.

        sum_k w_k CE(exit k) + weight * (cost / dense - goal)^2

    cost is the mean over the batch of what `keras_dynamic.graph.gating` counts
    up to the last exit, dense that count with all gates open. A gate counts
    with the probability that it is open under its noise, which has a gradient.

    While that noise falls, so does the goal, from 1 to the target: gates close
    one after another, those first whose branches the network misses least.

    With `bounds` this is added to the squared distance, the mean over gates g
    with share s_g of the batch's images:

        bounds * mean_g (max(0, s_g - high) + max(0, low - s_g))^2
        low = p goal,  high = 1 - p (1 - goal),  p = cos^2(pi / 2 * progress)

    So at first all gates share the saving alike, and when the noise has fallen
    each is free: LAUDNet's bounds, of which the paper's code lets go after a
    third of the epochs, here over the steps in which the noise falls. Gates
    whose noise stays as it is have none.

    Args:
        target: Share of the dense multiply-adds.
        weight: Weight of the cost. LAUDNet's code has 10.
        weights: One weight per exit's cross-entropy, or None for 1 each.
        bounds: Weight of the bounds within that of the cost; LAUDNet's code
            has 1.

    Raises:
        ValueError: If a number is out of range; by `extend`, if the model has
            no gates, its gates cannot save as much as `target` says, or there
            is not one weight per exit.
    """
    if not 0 < target <= 1:
        raise ValueError(
            "`target` must be a share, above 0 and up to 1. "
            f"Received: target={target!r}"
        )
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(
            "`weight` must be a finite number that is not negative. "
            f"Received: weight={weight!r}"
        )
    if not (math.isfinite(bounds) and bounds >= 0):
        raise ValueError(
            "`bounds` must be a finite number that is not negative. "
            f"Received: bounds={bounds!r}"
        )
    together = joint(weights)

    def extend(model: keras.Model) -> Extended:
        inner = together.extend(model)
        found = _gating(inner.model, target)
        trained = keras.Model(
            inner.model.input,
            [*inner.model.outputs, *found.unclamped],
            name=model.name,
        )

        def loss(labels, outputs, taught=None):
            exits, scores = outputs[: found.exits], outputs[found.exits :]
            shares = [
                _per_image(gate.open_probability(score))
                for gate, score in zip(found.gates, scores, strict=True)
            ]
            cost = keras.ops.mean(found.madds(shares)[-1]) / found.dense
            # All gates count the same steps.
            progress = found.gates[0].ramp.reached()
            goal = 1 - (1 - target) * progress
            distance = (cost - goal) ** 2
            if bounds:
                distance += bounds * _outside(shares, goal, progress)
            return inner.loss(labels, exits) + weight * distance

        return Extended(trained, loss)

    return Objective(extend)


def _outside(shares, goal, progress):
    """Returns the mean square of how far gates are outside of their bounds.

    Args:
        shares: Of each gate, how likely each image opens it, [batch].
        goal: Share of the cost that is aimed at.
        progress: From 0, when bounds are tight, to 1, when there are none.
    """
    ops = keras.ops
    tight = ops.cos(math.pi / 2 * progress) ** 2
    each = ops.stack([ops.mean(share) for share in shares])
    above = ops.maximum(each - (1 - tight * (1 - goal)), 0)
    below = ops.maximum(tight * goal - each, 0)
    return ops.mean((above + below) ** 2)


def _gating(model, target):
    """Finds the gates of a model, and checks that they can reach the target."""
    found = gating.gating(model)
    if not found.gates:
        raise ValueError(
            "`model` must have gates, as an `lcnet` has. "
            f"Received: {model.name!r} without any"
        )
    if still := [gate.name for gate in found.gates if not gate.noise]:
        raise ValueError(
            "`model` must have gates with noise, by which they are counted. "
            f"Received: {len(still)} without, such as {still[0]!r}"
        )
    least = found.always / found.dense
    if target < least:
        raise ValueError(
            "`target` must be a share of the dense multiply-adds that the "
            f"gates can reach: of this model from {least:.3f} to 1. "
            f"Received: target={target!r}"
        )
    return found


def _per_image(share):
    """Averages over a gate's channels, [batch]; only a mask has several."""
    return keras.ops.mean(share, axis=list(range(1, len(share.shape))))
