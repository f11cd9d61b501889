"""Lets a router choose one of several branches for each image."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_dynamic.layers import Gate, Preference


def logits_needed(branches: int) -> int:
    """Returns how many logits a router of so many branches has."""
    return 2 * (branches - 1)


def choice(
    router: Any,
    branches: Sequence[Any],
    *,
    exit: int,
    temperature: float,
    noise: Sequence[float] | None,
    annealing_steps: int,
) -> Any:
    """Returns the logits of the branch that a router prefers.

    The router decides branch after branch, whether it is this one or one of
    those behind it, each time by two logits of its own. A gate multiplies the
    logits of the branch, another one those of the rest; one of the two is 0,
    or both are open where the router hardly cares, and then their weighted sum
    is the answer. What a gate of 0 multiplies need not run: the cut finds that
    as it finds the gates of any network. Of whole branches a product has as
    many numbers as there are classes, so it costs nothing.

    Args:
        router: Symbolic logits [batch, `logits_needed`].
        branches: Symbolic logits [batch, classes] of each branch.
        exit: Number of the exit that the answer is.
        temperature: Of the choice, and
        noise: of its gates in training, at first and at last, and
        annealing_steps: in how many steps: as in `Preference` and `Gate`.
    """

    def gated(x, option, other, name):
        score = Preference(
            option, other, temperature, dtype="float32", name=f"{name}_score"
        )(router)
        gate = Gate(
            noise=noise,
            annealing_steps=annealing_steps,
            dtype="float32",
            name=f"{name}_gate",
        )(score)
        return keras.layers.Multiply(dtype="float32", name=f"{name}_gated")(
            [x, gate]
        )

    *earlier, chosen = branches
    for index, branch in reversed(list(enumerate(earlier))):
        one, other = 2 * index, 2 * index + 1
        name = f"exit_{exit}" if index == 0 else f"exit_{exit}_choice{index}"
        chosen = keras.layers.Add(dtype="float32", name=name)(
            [
                gated(branch, one, other, f"branch{index}"),
                gated(chosen, other, one, f"beyond{index}"),
            ]
        )
    return chosen
