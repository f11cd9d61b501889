"""Checks the arguments of the builders of the model families."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def require_positive_integers(**values: int) -> None:
    """Raises ValueError unless each value is a positive integer."""
    for key, value in values.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(
                f"`{key}` must be a positive integer. Received: {key}={value!r}"
            )


def require_positive_integers_per(part: str, **lists: Sequence[int]) -> None:
    """Raises ValueError unless each list has a positive integer per part."""
    for key, values in lists.items():
        if not values or not all(isinstance(v, int) and v > 0 for v in values):
            raise ValueError(
                f"`{key}` must hold a positive integer per {part}. "
                f"Received: {key}={values!r}"
            )
    if len(set(map(len, lists.values()))) > 1:
        names = [f"`{key}`" for key in lists]
        received = [f"{key}={values}" for key, values in lists.items()]
        raise ValueError(
            f"{', '.join(names[:-1])} and {names[-1]} must have one entry per "
            f"{part}. Received: {', '.join(received)}"
        )


def require_positive(**values: float) -> None:
    """Raises ValueError unless each value is a finite positive number."""
    for key, value in values.items():
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ValueError(
                f"`{key}` must be a finite positive number. "
                f"Received: {key}={value!r}"
            )


def require_one_of(valid: Sequence, **values) -> None:
    """Raises ValueError unless each value is one of `valid`."""
    for key, value in values.items():
        if value not in valid:
            raise ValueError(
                f"`{key}` must be one of {tuple(valid)}. "
                f"Received: {key}={value!r}"
            )


def backbone(
    argument: str, given: Mapping[str, Any], families: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Returns the entry of `families` for the given "family", and other keys.

    Raises:
        ValueError: If there is no such family.
    """
    settings = dict(given)
    family = settings.pop("family", None)
    if family not in families:
        raise ValueError(
            f"`{argument}` must have a `family`, one of {tuple(families)}. "
            f"Received: {argument}={dict(given)!r}"
        )
    return families[family], settings


def require_arguments_of(
    builder: Callable, argument: str, given: Mapping[str, Any], *values, **own
) -> None:
    """Raises ValueError unless `builder` takes the settings given for a family.

    Args:
        builder: Builder of the family that `given` names.
        argument: Name of the argument that `given` is, for the message.
        given: The family and the settings the builder shall take.
        *values: Further values that the builder is called with.
        **own: Further values by name; no setting may have such a name.
    """
    settings = {key: value for key, value in given.items() if key != "family"}
    try:
        inspect.signature(builder).bind(*values, **own, **settings)
    except TypeError as error:
        raise ValueError(
            f"`{argument}` must have the arguments of {given['family']!r}. "
            f"Received: {argument}={dict(given)!r}: {error}"
        ) from error
