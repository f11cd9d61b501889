"""Checks that of some paths none lies in another one."""

import os
from collections.abc import Iterable

from pipeline.storage import beam_files


def check(written: str, others: Iterable[str]) -> None:
    """Raises ValueError if a path is one of others, lies in it, or holds it.

    Args:
        written: Path where a directory is published, from `location`. Files in
            it are replaced, and a directory around it would hold it from then
            on.
        others: Paths that must stay as they are, or are published, too, from
            `location`.

    Raises:
        ValueError: If they are not apart.
    """
    for other in others:
        if _lies_in(written, other) or _lies_in(other, written):
            raise ValueError(
                "`data.directory`, the images and `data` of the working "
                "directory must lie apart, none in another one. "
                f"Received: {written} and {other}"
            )


def location(path: str | os.PathLike, *, follow: bool = True) -> str:
    """Returns where a path is, with links resolved.

    Args:
        path: Path on a local disk, or in an object store, which has no links.
        follow: Whether to resolve a link of that very name, too.
    """
    path = os.fspath(path)
    if not beam_files.is_local(path):
        return path
    if follow:
        return os.path.realpath(path)
    directory, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(directory), name)


def _lies_in(path: str, directory: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{directory.rstrip('/')}/")
