"""Checks of what the builders of the static families are given."""

import math
from collections.abc import Sequence


def require_positive_integers(**values: int) -> None:
    """Raises ValueError unless each value is a positive integer."""
    for key, value in values.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(
                f"`{key}` must be a positive integer. Received: {key}={value!r}"
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
