"""Quantizes models, one file per method; `get` finds a method by its name.

A method is a function from a `Task` to a `Quantized`, both of `method`.
"""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    if name not in _PLACES:
        raise ValueError(
            f"`method` must be one of {', '.join(NAMES)}. Received: {name!r}"
        )
    module = importlib.import_module(f"{__name__}.{_PLACES[name]}")
    return module.prepare
