"""Weights an exit's images by how likely they are to get as far as that exit.

The idea is that of QuickNets (Patel and Siegelmann, arXiv 2212.12866), which
take what earlier blocks know out of a block's training images, of CalexNet
(arXiv 2509.08318), whose weights match the images that are left, and of L2W-DEN
(ECCV 2022), here without its second network. None of the three gives this
formula: of the first two no code could be found.
"""

import math
from collections.abc import Sequence

import keras

from keras_dynamic.objectives.divergence import check_distillation
from keras_dynamic.objectives.objective import Extended, Objective

# A class of images that a batch happens to lack does not divide by nothing.
_TINY = 1e-6


def survivors(
    stay: float | Sequence[float] = 0.5,
    softness: float = 0.05,
    floor: float = 0.1,
    alpha: float = 0.0,
    temperature: float = 3.0,
) -> Objective:
    """Makes an objective that trains an exit for those images that reach it.

        sum_k mean_b w_bk [(1 - alpha) CE_bk + alpha T^2 KL_b(last || exit k)]
        w_bk = u_bk / mean_b u_bk,  u_bk = floor + (1 - floor) r_bk
        r_bk = prod_{j < k} stay_bj

    stay_bj is how likely image b goes on behind exit j: of its largest
    probability c, sigmoid((t_j - c) / softness), and at softness 0 whether c is
    below t_j. The threshold t_j is the quantile of c, over those images of the
    batch that got as far, above which a share 1 - `stay` of them lies. The
    weights carry no gradient. The KL is that of the earlier exits only.

    With `floor` 1, or `stay` 1 and softness 0, all weights are 1 and, with
    alpha 0, this is `joint`.

    Args:
        stay: Share of the images at an exit that go on, in (0, 1]; one for all
            exits but the last, or one each.
        softness: Width of the transition, in probability; 0 removes images, as
            QuickNets do.
        floor: Weight, before division by the mean, of an image that does not
            get that far, in [0, 1].
        alpha: Share of the last exit's teaching, in [0, 1].
        temperature: Temperature T of the teaching.

    Raises:
        ValueError: If a number is out of range; by `extend`, if there is not
            one share per exit but the last.
    """
    shares = [stay] if isinstance(stay, int | float) else list(stay)
    _check(shares, softness, floor)
    check_distillation("alpha", alpha, temperature)

    def extend(model: keras.Model) -> Extended:
        early = len(model.outputs) - 1
        staying = shares * early if isinstance(stay, int | float) else shares
        if len(staying) != early:
            raise ValueError(
                "`stay` must be one share, or one per exit but the last. "
                f"Received: {len(staying)} for {early + 1} exits"
            )

        def loss(labels, outputs, taught=None):
            weights = reach_weights(outputs, staying, softness, floor)
            total = 0.0
            for place, logits in enumerate(outputs):
                each = _cross_entropies(labels, logits)
                if alpha:
                    each = (1 - alpha) * each
                    if place < early:
                        each += (
                            alpha
                            * temperature**2
                            * _divergences(outputs[-1], logits, temperature)
                        )
                total += keras.ops.mean(weights[place] * each)
            return total

        return Extended(model, loss)

    return Objective(extend)


def reach_weights(
    outputs, stay: Sequence[float], softness: float, floor: float
) -> list:
    """Returns the weights of a batch's images at each exit, mean 1.

    Args:
        outputs: Logits [batch, classes] of each exit.
        stay: Share of the images that go on, of each exit but the last.
        softness: Width of the transition; 0 removes images.
        floor: Weight of those that do not get that far.

    Returns:
        Float32 [batch] for each exit; without a gradient.
    """
    ops = keras.ops
    reach = ops.ones_like(ops.cast(outputs[0][:, 0], "float32"))
    found = []
    for place, logits in enumerate(outputs):
        raw = floor + (1 - floor) * reach
        found.append(ops.stop_gradient(raw / ops.maximum(ops.mean(raw), _TINY)))
        if place == len(stay):
            break
        sure = ops.max(ops.softmax(ops.cast(logits, "float32")), axis=-1)
        threshold = _threshold(sure, reach, stay[place])
        if softness:
            reach = reach * ops.sigmoid((threshold - sure) / softness)
        else:
            reach = reach * ops.cast(sure <= threshold, "float32")
    return found


def _threshold(sure, reach, share: float):
    """Returns the lowest confidence with a share of the images' weight below.

    Args:
        sure: Confidences [batch].
        reach: Weights of the images [batch].
        share: Share of the weight that is to lie at or below it.
    """
    ops = keras.ops
    order = ops.argsort(sure)
    sorted_sure = ops.take(sure, order)
    below = ops.cumsum(ops.take(reach, order))
    # The last one is at or above any share, but for the rounding of the sum.
    enough = below >= share * below[-1] * (1 - _TINY)
    return ops.take(sorted_sure, ops.argmax(ops.cast(enough, "int32")))


def _cross_entropies(labels, logits):
    """Returns the cross-entropy of each image, float32 [batch]."""
    if len(labels.shape) > 1:
        function = keras.losses.categorical_crossentropy
    else:
        function = keras.losses.sparse_categorical_crossentropy
    return function(labels, keras.ops.cast(logits, "float32"), from_logits=True)


def _divergences(taught, logits, temperature: float):
    """Returns each image's divergence from the teacher's logits, [batch]."""
    ops = keras.ops
    taught = ops.stop_gradient(ops.cast(taught, "float32"))
    theirs = ops.log_softmax(taught / temperature)
    ours = ops.log_softmax(ops.cast(logits, "float32") / temperature)
    return ops.sum(ops.exp(theirs) * (theirs - ours), axis=-1)


def _check(shares, softness, floor):
    """Checks the numbers that do not depend on the model."""
    if not all(0 < share <= 1 for share in shares):
        raise ValueError(
            "`stay` must hold shares, above 0 and up to 1. "
            f"Received: stay={shares!r}"
        )
    if not (math.isfinite(softness) and softness >= 0):
        raise ValueError(
            "`softness` must be a finite number that is not negative. "
            f"Received: softness={softness!r}"
        )
    if not 0 <= floor <= 1:
        raise ValueError(
            f"`floor` must be in [0, 1]. Received: floor={floor!r}"
        )
