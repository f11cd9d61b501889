"""Gates that learn to spend, on the mean, a share of the multiply-adds.

For networks such as LC-Net (Xia et al., "Fully Dynamic Inference with Deep
Neural Networks", IEEE TETC 2022, arXiv 2007.15151), of which the part of the
loss that counts operations could not be read. The one here is that of LAUDNet
(Han et al., "Latency-aware Unified Dynamic Networks for Efficient Image
Recognition", TPAMI 2024, arXiv 2308.15949), as in the authors' code.
"""

import math
from collections.abc import Sequence

import keras

from keras_dynamic import gating
from keras_dynamic.layers import Progress
from keras_dynamic.objectives.joint import joint
from keras_dynamic.objectives.objective import Extended, Objective


def cost_target(
    target: float,
    weight: float = 1.0,
    annealing_steps: int = 0,
    indicator: bool = True,
    weights: Sequence[float] | None = None,
) -> Objective:
    """Cross-entropies, and how far the mean cost is from a target.

        sum_k w_k CE(exit k) + weight * ((cost / dense - target)^2 + bounds)

    cost is the mean over the batch of what `keras_dynamic.gating` counts up to
    the last exit, dense the same with all gates open. bounds is there in the
    first steps, so that gates do not settle for always or for never before
    they have learned: the mean over the gates of the square by which the share
    of images that open one is out of

        [a * target, 1 - a * (1 - target)],  a = cos(pi / 2 * step / steps)^2,

    at first the target itself and at last any share. LAUDNet anneals over the
    first third of training.

    Whether a gate is open has no gradient. LAUDNet draws it with Gumbel noise,
    and passes the gradient straight through. LC-Net's scores are numbers that
    scale, without noise; so here the gradient goes straight to the score.

    Args:
        target: Share of the dense multiply-adds.
        weight: Of the cost. LAUDNet's code has 10, for gates that are drawn;
            with that, clamped scores swing from step to step.
        annealing_steps: Steps of training with bounds; 0 for none.
        indicator: Whether an open gate counts as 1, which is what it costs; if
            not, as its score, whose gradient is exact. Scores may then fall
            to the target on the mean, and none of them to 0.
        weights: One weight per exit's cross-entropy, or None for 1 each.

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
    if not isinstance(annealing_steps, int) or annealing_steps < 0:
        raise ValueError(
            "`annealing_steps` must be an integer that is not negative. "
            f"Received: annealing_steps={annealing_steps!r}"
        )
    together = joint(weights)

    def extend(model: keras.Model) -> Extended:
        inner = together.extend(model)
        found = _gating(inner.model, target)
        *earlier, last = inner.model.outputs
        progress = []
        if annealing_steps:
            name = f"exit_{len(earlier)}_progress"
            last, *progress = Progress(annealing_steps, name=name)(last)
        trained = keras.Model(
            inner.model.input,
            [*earlier, last, *found.scores, *progress],
            name=model.name,
        )

        def loss(labels, outputs, taught=None):
            exits, gates = found.exits, len(found.names)
            shares = [
                _open_share(score, indicator)
                for score in outputs[exits : exits + gates]
            ]
            cost = keras.ops.mean(found.madds(shares)[-1]) / found.dense
            excess = (cost - target) ** 2
            if annealing_steps:
                excess = excess + _out_of_bounds(shares, target, outputs[-1])
            return inner.loss(labels, outputs[:exits]) + weight * excess

        return Extended(trained, loss)

    return Objective(extend)


def _gating(model, target):
    """The gates of a model, which must be able to reach the target."""
    found = gating.gating(model)
    if not found.names:
        raise ValueError(
            "`model` must have gates, as an `lcnet` has. "
            f"Received: {model.name!r} without any"
        )
    least = found.always / found.dense
    if target < least:
        raise ValueError(
            "`target` must be a share of the dense multiply-adds that the "
            f"gates can reach: of this model from {least:.3f} to 1. "
            f"Received: target={target!r}"
        )
    return found


def _open_share(score, indicator):
    """Of the scores of each image the share above 0, float32 [batch].

    Its gradient is that of their mean.
    """
    score = keras.ops.cast(score, "float32")
    if indicator:
        is_open = keras.ops.cast(score > 0, "float32")
        score = score + keras.ops.stop_gradient(is_open - score)
    return keras.ops.mean(score, axis=list(range(1, len(score.shape))))


def _out_of_bounds(shares, target, progress):
    """Mean square of what the gates' shares lack or have too much."""
    tight = keras.ops.cos(math.pi / 2 * progress) ** 2
    share = keras.ops.stack([keras.ops.mean(each) for each in shares])
    lacking = keras.ops.relu(tight * target - share)
    surplus = keras.ops.relu(share - (1 - tight * (1 - target)))
    return keras.ops.mean(lacking**2 + surplus**2)
