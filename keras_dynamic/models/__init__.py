"""Lists the model families, by name; `register` adds one of a user.

A function of a user is also found by its place, module:function.

A builder takes keyword arguments only, `input_shape` and `classes` among them,
and returns a functional `keras.Model` with one output of logits per exit,
shallow to deep; all but these two have defaults. The layers of exit k's
classifier have names that start with `exit_k`; the layer that gives its logits
is named `exit_k`. Names that start with `block{k}_` tell
`keras_dynamic.graph.cost` what the papers count up to exit k.
"""

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import keras

from keras_dynamic.models.applications import applications
from keras_dynamic.models.basisnet import basisnet
from keras_dynamic.models.blocks.fresh_names import fresh_names
from keras_dynamic.models.blocks.importing import imported, is_place
from keras_dynamic.models.blocks.outside import with_exit_names
from keras_dynamic.models.efficientnet_lite import efficientnet_lite
from keras_dynamic.models.ghost_regnet import ghost_regnet
from keras_dynamic.models.ghostnet import ghostnet
from keras_dynamic.models.keras_file import keras_file
from keras_dynamic.models.lcnet import lcnet
from keras_dynamic.models.mobilenet_v2 import mobilenet_v2
from keras_dynamic.models.mobilenet_v3 import mobilenet_v3
from keras_dynamic.models.msdnet import msdnet
from keras_dynamic.models.ranet import ranet
from keras_dynamic.models.resnet import resnet
from keras_dynamic.models.resolution_choice import resolution_choice
from keras_dynamic.models.size_cascade import size_cascade
from keras_dynamic.models.vgg import vgg

Builder = Callable[..., keras.Model]
_BuilderT = TypeVar("_BuilderT", bound=Builder)

_OURS: Mapping[str, Builder] = {
    "applications": applications,
    "basisnet": basisnet,
    "efficientnet_lite": efficientnet_lite,
    "ghost_regnet": ghost_regnet,
    "ghostnet": ghostnet,
    "keras_file": keras_file,
    "lcnet": lcnet,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "msdnet": msdnet,
    "ranet": ranet,
    "resnet": resnet,
    "resolution_choice": resolution_choice,
    "size_cascade": size_cascade,
    "vgg": vgg,
}
_ALL: dict[str, Builder] = dict(_OURS)

BUILDERS: Mapping[str, Builder] = types.MappingProxyType(_ALL)

__all__ = ["BUILDERS", "build", "builder", "names", "register"]


def names() -> list[str]:
    """Returns the names of all families, those of users among them."""
    return sorted(BUILDERS)


def register(name: str) -> Callable[[_BuilderT], _BuilderT]:
    """Returns a decorator that adds a builder to the families.

    A later one of the same name replaces an earlier one, as when a cell of a
    notebook runs again; those that come with the package stay.

    Args:
        name: Name of the family in `build` and in `model.family` of a
            configuration.

    Raises:
        ValueError: If the package has a family of that name; by the decorator,
            if the builder does not take `input_shape` and `classes` as keyword
            arguments.
    """
    if name in _OURS:
        raise ValueError(
            f"`name` must not be one of {', '.join(_OURS)}. Received: {name!r}"
        )

    def added(builder: _BuilderT) -> _BuilderT:
        try:
            inspect.signature(builder).bind_partial(input_shape=(), classes=0)
        except TypeError as error:
            raise ValueError(
                "`builder` must take the keyword arguments `input_shape` and "
                f"`classes`: {error}. Received: {builder!r}"
            ) from error
        _ALL[name] = builder
        return builder

    return added


def builder(name: str) -> Builder:
    """Returns the builder of a family, or the function module:function.

    Raises:
        ValueError: If no family has that name, or there is no such function.
    """
    if is_place(name):
        return imported("model.family", name)
    if name not in BUILDERS:
        raise ValueError(
            f"`name` must be one of {names()}, or module:function. "
            f"Received: name={name!r}"
        )
    return BUILDERS[name]


def build(name: str, **arguments: Any) -> keras.Model:
    """Builds the model family `name` with its keyword arguments.

    The layers have the same names each time. A model of module:function may
    end its outputs as `with_exit_names` allows.

    Raises:
        ValueError: If no family has that name, there is no such function, or
            it gives no functional model with an output of logits per exit.
    """
    with fresh_names():
        model = builder(name)(**arguments)
        if not is_place(name):
            return model
        try:
            return with_exit_names(
                model, arguments["input_shape"], arguments["classes"]
            )
        except ValueError as error:
            raise ValueError(f"{error}, of {name}") from error
