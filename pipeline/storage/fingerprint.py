"""Hashes what something is made from."""

import hashlib
import json
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np


def of(*parts: object) -> str:
    """Hashes JSON values, dicts by their sorted keys, to a hex string."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def of_files(arguments: Mapping[str, object]) -> dict[str, str]:
    """Hashes the files among some arguments, and returns the hashes by name.

    An argument of a dict among them has the name "outer.inner".
    """
    hashes = {}
    for name, value in arguments.items():
        if isinstance(value, Mapping):
            inner = of_files(value)
            hashes |= {f"{name}.{key}": each for key, each in inner.items()}
        elif isinstance(value, str) and pathlib.Path(value).is_file():
            with open(value, "rb") as file:
                hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def of_arrays(arrays: Iterable[np.ndarray]) -> str:
    """Hashes arrays, their types and shapes, to a hex string."""
    digest = hashlib.sha256()
    for each in arrays:
        digest.update(f"{each.dtype} {each.shape};".encode())
        digest.update(np.ascontiguousarray(each).tobytes())
    return digest.hexdigest()
