"""Lists, by name, the objectives by which exits are trained together.

A builder takes keyword arguments and returns an `Objective`: a function from a
model to the one that is trained and its loss, and a teacher where there is one.
It serves every model with several exits and every backend, float training and
quantization-aware training. `gradient_equilibrium` rewrites a model,
`label_smoothing` an objective's labels; they go with any objective.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from keras_dynamic.objectives.boosted import boosted
from keras_dynamic.objectives.cost_target import cost_target
from keras_dynamic.objectives.gradient_equilibrium import gradient_equilibrium
from keras_dynamic.objectives.joint import joint
from keras_dynamic.objectives.label_smoothing import label_smoothing
from keras_dynamic.objectives.layer_caching import layer_caching
from keras_dynamic.objectives.negative_correlation import negative_correlation
from keras_dynamic.objectives.objective import Extended, Objective
from keras_dynamic.objectives.one_for_all import one_for_all
from keras_dynamic.objectives.self_distillation import self_distillation
from keras_dynamic.objectives.survivors import survivors
from keras_dynamic.objectives.zero_time_waste import zero_time_waste

BUILDERS: Mapping[str, Callable[..., Objective]] = {
    "boosted": boosted,
    "cost_target": cost_target,
    "joint": joint,
    "layer_caching": layer_caching,
    "negative_correlation": negative_correlation,
    "one_for_all": one_for_all,
    "self_distillation": self_distillation,
    "survivors": survivors,
    "zero_time_waste": zero_time_waste,
}

__all__ = [
    "BUILDERS",
    "Extended",
    "Objective",
    "build",
    "gradient_equilibrium",
    "label_smoothing",
    "names",
]


def names() -> list[str]:
    """Returns the names of all objectives."""
    return sorted(BUILDERS)


def build(name: str, **arguments: Any) -> Objective:
    """Builds the objective `name` with its keyword arguments.

    Raises:
        ValueError: If no objective has that name, it has other arguments, or
            one of them is out of range.
    """
    if name not in BUILDERS:
        raise ValueError(
            f"`name` must be one of {names()}. Received: name={name!r}"
        )
    signature = inspect.signature(BUILDERS[name])
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise ValueError(
            f"`arguments` of the objective {name!r} must be among "
            f"{', '.join(signature.parameters)}: {error}. "
            f"Received: {', '.join(sorted(arguments)) or 'none'}"
        ) from error
    return BUILDERS[name](**arguments)
