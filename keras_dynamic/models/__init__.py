"""The model families, by name.

A builder takes keyword arguments only, `input_shape` and `classes` among them,
and returns a functional `keras.Model` with one output of logits per exit,
shallow to deep. The layers of exit k's classifier have names that start with
`exit_k`; the layer that gives its logits is named `exit_k`.
"""

from collections.abc import Callable, Mapping

import keras

from keras_dynamic.models.msdnet import msdnet
from keras_dynamic.models.ranet import ranet

BUILDERS: Mapping[str, Callable[..., keras.Model]] = {
    "msdnet": msdnet,
    "ranet": ranet,
}


def build(name: str, **arguments) -> keras.Model:
    """Builds the model family `name` with its keyword arguments.

    Raises:
        ValueError: If no family has that name.
    """
    if name not in BUILDERS:
        raise ValueError(
            f"`name` must be one of {sorted(BUILDERS)}. Received: name={name!r}"
        )
    return BUILDERS[name](**arguments)
