"""Trains exits to correct the ensemble of those before them (BoostNet).

Yu et al., "Boosted Dynamic Neural Networks", AAAI 2023, arXiv 2211.16726.
"""

import math
from collections.abc import Sequence

import keras

from keras_dynamic.layers import GradientScale, Multiple
from keras_dynamic.objectives.joint import joint
from keras_dynamic.objectives.objective import Extended, Objective


def boosted(
    reweight: float = 0.5, weights: Sequence[float] | str | None = None
) -> Objective:
    """Makes the objective of boosted exits: each adds to a shrunk ensemble.

    With the logits f_n of the model's exits, the boosted exits are

        z_0 = f_0,    z_n = f_n + reweight * stop_gradient(z_{n-1})

    and the loss is the sum of their cross-entropies, all exits at once on the
    same batch. The gradient of exit n's loss does not reach earlier exits
    through their logits, but does reach the blocks they share, through f_n.
    The z_n are what is deployed, so the ensemble is computed on the device.

    BoostNet is this with `gradient_equilibrium`, which rescales gradients; for
    RANet the authors do without. With a list of factors their code shrinks by
    another one in training than in inference; their scripts use one factor, and
    so does this.

    Args:
        reweight: The factor of the previous ensemble; 0.5 in all of the
            authors' scripts.
        weights: One weight per exit's loss, or None for 1 each, as in the
            authors' scripts.

    Raises:
        ValueError: If `reweight` is not a finite positive number; by `extend`,
            if there is not one weight per exit.
    """
    if not (math.isfinite(reweight) and reweight > 0):
        raise ValueError(
            "`reweight` must be a finite positive number. "
            f"Received: reweight={reweight!r}"
        )
    together = joint(weights)

    def extend(model: keras.Model) -> Extended:
        inner = together.extend(model)
        first, *others = inner.model.outputs
        ensembles = [first]
        for exit, logits in enumerate(others, start=1):
            name = f"exit_{exit}"
            previous = GradientScale(0, name=f"{name}_detach")(ensembles[-1])
            previous = Multiple(
                reweight, dtype="float32", name=f"{name}_previous"
            )(previous)
            ensembles.append(
                keras.layers.Add(dtype="float32", name=f"{name}_boosted")(
                    [logits, previous]
                )
            )
        trained = keras.Model(inner.model.input, ensembles, name=model.name)
        return Extended(trained, inner.loss)

    return Objective(extend)
