"""Reads small JSON files of a working directory, which somebody may edit."""

import pathlib
from typing import Any

from tflite.format import files, strict_json

_MAX_BYTES = 2**26


def read(path: pathlib.Path) -> dict[str, Any]:
    """Returns the object that a file holds.

    Raises:
        ValueError: If there is none, or the file is no JSON; it is named.
    """
    try:
        found = strict_json.decode(files.read(path, _MAX_BYTES))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} must be the JSON that was written there: {error}"
        ) from error
    if not isinstance(found, dict):
        raise ValueError(
            f"{path} must be a JSON object. Received: {str(found)[:80]}"
        )
    return found
