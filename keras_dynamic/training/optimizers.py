"""Builds an optimizer by its name, with all that a training says of it.

Whatever the optimizer, it can spare biases and normalizations its decay, clip
the gradient, and keep an average of the weights.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import keras

from keras_dynamic.training import schedules
from keras_dynamic.training.coupled_sgd import CoupledSGD
from keras_dynamic.training.weight_average import WeightAverage

# Muon, which needs to be told its layers, is not among them.
_KERAS: Mapping[str, str] = {
    "adadelta": "Adadelta",
    "adafactor": "Adafactor",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamax": "Adamax",
    "adamw": "AdamW",
    "ftrl": "Ftrl",
    "lamb": "Lamb",
    "lion": "Lion",
    "nadam": "Nadam",
    "rmsprop": "RMSprop",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimization:
    """Says how weights are moved; the names are those of a configuration.

    Attributes:
        optimizer: One of `names()`.
        optimizer_arguments: Arguments of the optimizer beside what is here.
        learning_rate: Highest learning rate of the schedule.
        schedule: One of "step", "cosine", "linear", as in `schedules.build`.
        milestones: Shares of the steps at which "step" lowers the rate.
        rise: Share of the steps in which "linear" reaches the rate.
        warm_up: Share of the steps in which the rate rises from zero.
        momentum: Momentum of SGD.
        nesterov: Whether that is Nesterov's.
        weight_decay: Factor of the decay: added to the gradient by SGD, as in
            the papers' code; by the others taken off the weight, times the
            learning rate.
        weight_decay_on: "all" trainable weights, or "kernels": those with more
            than one axis.
        clip_norm: Longest gradient, over all weights; 0 for any.
        average_decay: At least 0 and below 1, as in `WeightAverage`.
    """

    optimizer: str = "sgd"
    optimizer_arguments: Mapping[str, Any] = dataclasses.field(
        default_factory=dict
    )
    learning_rate: float = 0.1
    schedule: str = "step"
    milestones: tuple[float, ...] = ()
    rise: float = 0.2
    warm_up: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    weight_decay_on: str = "all"
    clip_norm: float = 0.0
    average_decay: float = 0.0

    @classmethod
    def of(cls, settings: Any) -> "Optimization":
        """Takes the attributes of these names, such as `config.train`'s."""
        names = (each.name for each in dataclasses.fields(cls))
        return cls(**{name: getattr(settings, name) for name in names})


def names() -> list[str]:
    """Returns the names of all optimizers."""
    return ["sgd", *_KERAS]


def build(
    settings: Optimization,
    steps: int,
    keys: tuple[str, str] = ("optimizer", "optimizer_arguments"),
) -> keras.optimizers.Optimizer:
    """Builds an optimizer for a training of `steps` steps.

    Like every optimizer of Keras it makes its variables at its first step, or
    when `build` is called with the weights. It has `average_decay` and
    `averages` of `WeightAverage`.

    Args:
        settings: The settings.
        steps: Steps of the whole training.
        keys: Names of the settings of the name and of its arguments, for an
            error.

    Raises:
        ValueError: If there is no such optimizer, or it has other arguments.
    """
    name = settings.optimizer
    key, arguments_key = keys
    if name not in names():
        raise ValueError(
            f"`{key}` must be one of {', '.join(names())}. "
            f"Received: {key}={name!r}"
        )
    arguments = {
        "learning_rate": schedules.build(
            settings.schedule,
            settings.learning_rate,
            steps,
            milestones=settings.milestones,
            rise=settings.rise,
            warm_up=settings.warm_up,
        ),
        "average_decay": settings.average_decay,
        "decay_vectors": settings.weight_decay_on == "all",
    }
    if settings.clip_norm:
        arguments["global_clipnorm"] = settings.clip_norm
    if name == "sgd":
        kind = CoupledSGD
        arguments["momentum"] = settings.momentum
        arguments["nesterov"] = settings.nesterov
        arguments["coupled_decay"] = settings.weight_decay
    else:
        kind = _extended(_KERAS[name])
        arguments["weight_decay"] = float(settings.weight_decay)
    given = dict(settings.optimizer_arguments)
    if twice := sorted(given.keys() & arguments.keys()):
        raise ValueError(
            f"`{arguments_key}` must leave {', '.join(twice)} to the keys "
            f"beside it. Received: {given}"
        )
    try:
        return kind(**arguments, **given)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{arguments_key}` must be arguments of {name!r}: {error}. "
            f"Received: {given}"
        ) from error


@functools.cache
def _extended(name: str) -> type:
    """Derives from an optimizer of Keras one that has what ours have."""
    base = getattr(keras.optimizers, name)

    class Extended(WeightAverage, base):
        def __init__(self, *, decay_vectors, average_decay, **arguments):
            super().__init__(**arguments)
            self.decay_vectors = decay_vectors
            self.set_average_decay(average_decay)

        def build(self, variables):
            if self.built:
                return
            if not self.decay_vectors:
                vectors = [each for each in variables if len(each.shape) < 2]
                self.exclude_from_weight_decay(vectors)
            super().build(variables)
            self.build_averages(variables)

        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate)
            self.follow(variable)

    Extended.__name__ = name
    return Extended
