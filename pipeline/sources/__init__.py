"""Where images come from: one module per source.

A source is a module with three functions:

    find(**options) -> Listing      runs once, in the driver; reads no pixels
    load(location) -> PIL image     runs in the workers, once per image
    state(**options) -> str         a hash that changes when the images do

`find` gives each image a key, a label, and a location: a short string that
`load` understands, such as a path or the number of a row. Only these cross
the network. `load` raises `BadImage` for an image to be set aside; any other
error stops the run.
"""

import types

from pipeline.sources import digits, image_folder

_SOURCES = {"digits": digits, "image_folder": image_folder}


def names() -> tuple[str, ...]:
    """Returns the names of all sources."""
    return tuple(sorted(_SOURCES))


def get(name: str) -> types.ModuleType:
    """Returns the source of that name.

    Raises:
        ValueError: There is no such source.
    """
    if name not in _SOURCES:
        raise ValueError(
            f"`source` must be one of {', '.join(names())}. "
            f"Received: source={name!r}"
        )
    return _SOURCES[name]
