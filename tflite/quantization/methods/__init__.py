"""Quantizes models, one file per method; `get` finds a method by its name.

A method is a function from a `Task` to a `Quantized`, both of `method`.
"""

import importlib
import types
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from tflite.quantization.methods.method import Quantized, Task

DEFAULT = "tfmot"

# Imported when they are needed: tfmot brings a second Keras.
_PLACES = {
    "tfmot": "legacy_training",
    "keras": "native_training",
    "ptq": "post_training",
}

NAMES = tuple(_PLACES)


def get(name: str) -> "Callable[[Task], Quantized]":
    """Returns the method of a name.

    Args:
        name: "tfmot" fine-tunes by way of the legacy Keras and tfmot, "keras"
            with Keras 3 alone; "ptq" takes ranges from images, and does not
            train.

    Raises:
        ValueError: If there is none of that name.
    """
    return _module(name).prepare


def check(
    name: str, model: "keras.Model", keep_float: Collection[str] = ()
) -> None:
    """Raises ValueError if a method has no form of one of a model's layers.

    Weights and images play no part, so this is known before a training.

    Args:
        name: As `get`.
        model: The model, as its objective extended it.
        keep_float: Names of layers that need no form in int8.
    """
    _module(name).check(model, keep_float)


def _module(name: str) -> types.ModuleType:
    if name not in _PLACES:
        raise ValueError(
            f"`method` must be one of {', '.join(NAMES)}. Received: {name!r}"
        )
    return importlib.import_module(f"{__name__}.{_PLACES[name]}")
