"""How the exits are trained together, by name.

An objective is a function of `labels` (integers, [batch]) and `logits` (one
[batch, classes] tensor per exit, shallow to deep) that gives the scalar loss.
It is written with `keras.ops`, so it serves every backend, and serves
quantization-aware training too.
"""

import inspect
from collections.abc import Callable, Mapping

from keras_dynamic.objectives.joint import joint

BUILDERS: Mapping[str, Callable[..., Callable]] = {
    "joint": joint,
}


def build(name: str, **arguments) -> Callable:
    """Builds the objective `name` with its keyword arguments.

    Raises:
        ValueError: If no objective has that name, or it has other arguments.
    """
    if name not in BUILDERS:
        raise ValueError(
            f"`name` must be one of {sorted(BUILDERS)}. Received: name={name!r}"
        )
    try:
        inspect.signature(BUILDERS[name]).bind(**arguments)
    except TypeError as error:
        raise ValueError(
            f"`arguments` do not fit the objective {name!r}: {error}. "
            f"Received: {sorted(arguments)}"
        ) from error
    return BUILDERS[name](**arguments)
