"""Builds and trains networks with several exits: Keras 3, any backend.

A name is imported when it is first asked for. `exits` needs numpy alone, all
other names need Keras.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_dynamic import exits, layers, models, objectives
    from keras_dynamic.graph.cost import exit_costs
    from keras_dynamic.graph.gating import gating
    from keras_dynamic.models.attach_exits import attach_exits
    from keras_dynamic.models.check_exits import check_exits
    from keras_dynamic.training.trainer import Trainer

_ROOMS = ("exits", "layers", "models", "objectives")
_PLACES = {
    "Trainer": "training.trainer",
    "check_exits": "models.check_exits",
    "attach_exits": "models.attach_exits",
    "exit_costs": "graph.cost",
    "gating": "graph.gating",
}

__all__ = [
    "Trainer",
    "attach_exits",
    "check_exits",
    "exit_costs",
    "exits",
    "gating",
    "layers",
    "models",
    "objectives",
]


def __getattr__(name: str) -> object:
    """Imports what is asked for from the module that holds it."""
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _PLACES:
        module = importlib.import_module(f"{__name__}.{_PLACES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Returns the public names."""
    return sorted({*globals(), *__all__})
