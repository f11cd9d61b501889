"""Runs experiments: preparation, the driver of each stage, and reports.

`Experiment` does from Python what the command line does; it is imported when
it is first asked for.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline import config, sources
    from pipeline.experiment import Experiment

__all__ = ["Experiment", "config", "sources"]


def __getattr__(name: str) -> object:
    """Imports a public name from the module that holds it."""
    if name == "Experiment":
        return importlib.import_module(f"{__name__}.experiment").Experiment
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Returns the public names."""
    return sorted({*globals(), *__all__})
