"""Checks class names that the user gives."""

from collections.abc import Sequence

from tflite.bundle import class_names


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names, in the order of their labels.

    Raises:
        ValueError: Some are equal, or cannot be names in a bundle.
    """
    if isinstance(names, str) or not all(isinstance(n, str) for n in names):
        raise ValueError(
            f"`classes` must be a sequence of names. Received: {names!r}"
        )
    if len(set(names)) < len(names):
        raise ValueError(
            f"`classes` must differ from each other. Received: {list(names)}"
        )
    if names:
        class_names.check(names, "classes")
    return tuple(names)
