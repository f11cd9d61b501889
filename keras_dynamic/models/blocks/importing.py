"""Imports what a user names by its place, module:name."""

import importlib
import os
import sys
from collections.abc import Iterable
from typing import Any


def is_place(name: str) -> bool:
    """Tells whether a name is a place, module:name."""
    return ":" in name


def imported(argument: str, place: str) -> Any:
    """Returns the function or class at a place, such as "my.nets:build".

    Modules are found as in `python -m`: in the working directory, too, which a
    console script does not search by itself.

    Args:
        argument: Name of the caller's argument, for errors.
        place: Module and name, with a colon between them.

    Raises:
        ValueError: If there is no such module, or it has no such name.
        Exception: What the module itself raises.
    """
    module, _, name = place.partition(":")
    directory = os.getcwd()
    added = directory not in sys.path and "" not in sys.path
    if added:
        sys.path.insert(0, directory)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # The module is there, and lacks another one.
        raise ValueError(
            f"`{argument}` must be module:name of a module that is in the "
            "working directory, in PYTHONPATH or installed. "
            f"Received: {place!r} in {directory}: {error}"
        ) from error
    finally:
        # Not while the module is in use: it may import others later on.
        if added and module not in sys.modules:
            sys.path.remove(directory)
    if not callable(getattr(found, name, None)):
        names = [
            key
            for key, value in vars(found).items()
            if callable(value) and not key.startswith("_")
        ]
        raise ValueError(
            f"`{argument}` must name a function or class of {module}: "
            f"{', '.join(names) or '(it has none)'}. Received: {place!r}"
        )
    return getattr(found, name)


def classes(argument: str, places: Iterable[str]) -> dict[str, Any]:
    """Returns the classes at some places by their own names.

    Raises:
        ValueError: If one is not there.
    """
    found = [imported(argument, place) for place in places]
    return {each.__name__: each for each in found}
