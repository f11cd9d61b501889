"""Lays the numbers of one stage over those of the stages before it."""

from typing import Any


def overlay(base: Any, more: Any) -> Any:
    """Returns `base` with the values of `more` added or put in place.

    Args:
        base: A JSON value; left as it is.
        more: A JSON value. Mappings are joined by their keys and lists by
            their places; anything else takes the place of what was there.

    Raises:
        ValueError: If two lists have different lengths: they are not about the
            same exits or policies.
    """
    if isinstance(base, dict) and isinstance(more, dict):
        both = {
            name: overlay(base[name], value) if name in base else value
            for name, value in more.items()
        }
        return {**base, **both}
    if isinstance(base, list) and isinstance(more, list):
        if len(base) != len(more):
            raise ValueError(
                f"`more` must be a list of {len(base)} where `base` is. "
                f"Received: {len(more)}"
            )
        return [overlay(*each) for each in zip(base, more, strict=True)]
    return more
