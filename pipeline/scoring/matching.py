"""Lists the files of a pattern, and the places that cannot be read.

Of an object store Beam lists them. Its listing of a local disk passes over
dangling links, links to directories and unreadable directories without a word.
"""

import functools
import os
import re
from collections.abc import Iterator, Sequence

from apache_beam.io.filesystem import FileSystem
from apache_beam.io.filesystems import FileSystems

from pipeline.sources import tree
from pipeline.storage import beam_files

# Path, bytes, and why it cannot be read, or "". A tuple, for Beam's coders.
Match = tuple[str, int, str]


def matches(pattern: str) -> Iterator[Match]:
    """Yields the files that a pattern matches, in no particular order.

    Args:
        pattern: Local or of an object store, in Beam's syntax: "*" and "?" are
            of one directory, "**" goes deeper. Links are followed. Directories
            are no matches, but those that cannot be listed are, wherever
            matches may be in them; their paths end with a slash.
    """
    if not beam_files.is_local(pattern):
        for file in FileSystems.match([pattern])[0].metadata_list:
            yield file.path, file.size_in_bytes, ""
        return
    if pattern.endswith("/"):
        pattern += "*"
    wildcard = re.search(r"[*?[]", pattern)
    if not wildcard:
        if os.path.lexists(pattern):
            yield _match(pattern)
        return
    start = pattern[: pattern.rfind("/", 0, wildcard.start()) + 1]
    if not os.path.isdir(start or "."):
        return
    wanted = _regex(pattern)
    parts = pattern[len(start) :].split("/")
    for name, fault in tree.walk(
        start or ".", skip=lambda name: not _may_hold(parts, name)
    ):
        path = start + name
        if fault:
            yield path, 0, fault
        elif not name.endswith("/") and wanted.match(path):
            yield _match(path)


def _match(path: str) -> Match:
    """Returns a path with the bytes of its file; 0 if it is none."""
    return path, int(tree.version(path).partition(" ")[0] or 0), ""


def _may_hold(parts: Sequence[str], name: str) -> bool:
    """Tells whether matches may be in a directory.

    Args:
        parts: The pattern, directory by directory, below where it begins to
            have wildcards.
        name: Name of the directory, below where the pattern begins to have
            wildcards.
    """
    depth = name.count("/") + 1
    if any("**" in part for part in parts[:depth]):
        return True
    if depth >= len(parts):
        return False
    return _regex("/".join(parts[:depth])).match(name) is not None


@functools.lru_cache(maxsize=64)
def _regex(pattern: str) -> re.Pattern:
    """Returns the regular expression that matches a pattern's whole paths."""
    regex = FileSystem.translate_pattern(pattern)
    # A backslash is a letter like any other here.
    return re.compile(regex.replace(r"[^/\\]*", "[^/]*"))
