"""Says which versions of other packages made a result."""

import importlib.metadata
from collections.abc import Iterable

# The same code under another name, without what is for GPUs.
_ALSO = {"tensorflow": "tensorflow-cpu"}


def versions(names: Iterable[str]) -> dict[str, str | None]:
    """Returns the version of each package, None where it is not installed."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return _version(_ALSO[name]) if name in _ALSO else None
