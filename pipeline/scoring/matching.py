"""Lists the files of a pattern, and the places that cannot be read.

Of an object store Beam lists them. Its listing of a local disk passes over
dangling links, links to directories and unreadable directories without a word.
Hidden and system files are listed with a fault of their own, as in preparing.
"""

import functools
import itertools
import os
import re
from collections.abc import Iterator, Sequence

from apache_beam.io.filesystem import FileSystem
from apache_beam.io.filesystems import FileSystems

from pipeline.sources import file_names, tree
from pipeline.storage import beam_files

# Path, bytes, and why it cannot be read, or "". A tuple, for Beam's coders.
Match = tuple[str, int, str]


_WILDCARD = re.compile(r"[*?[]")


def matches(pattern: str) -> Iterator[Match]:
    """Yields the files that a pattern matches, in no particular order.

    Args:
        pattern: Local or of an object store, in Beam's syntax: "*" and "?" are
            of one directory, "**" goes deeper. A path that is there is itself,
            whatever letters it has; a directory, in an object store one with a
            slash at its end, stands for all below it. Links are followed.
            Directories that cannot be listed are matches, wherever matches may
            be in them; their paths end with a slash.
    """
    start, rest = parted(pattern)
    if not beam_files.is_local(pattern):
        for file in FileSystems.match([start + rest])[0].metadata_list:
            name = file.path[len(start) :]
            yield file.path, file.size_in_bytes, _skipped(name, rest)
        return
    if os.path.lexists(start + rest):
        yield _match(start + rest)
        return
    if not rest or not os.path.isdir(start or "."):
        return
    wanted, parts = _regex(rest), rest.split("/")
    for name, fault in tree.walk(
        start or ".", skip=lambda name: not _may_hold(parts, name)
    ):
        path = start + name
        if name.endswith("/") and not fault:
            continue
        if skipped := _skipped(name, rest):
            if fault or wanted.match(name):
                yield path, 0, skipped
        elif fault:
            yield path, 0, fault
        elif wanted.match(name):
            yield _match(path)


def parted(pattern: str) -> tuple[str, str]:
    """Returns the directory in which matches are, and the pattern below it.

    The directory ends with a slash, or is "" for the current one.
    """
    if not beam_files.is_local(pattern):
        whole = f"{pattern}**" if pattern.endswith("/") else pattern
        wildcard = _WILDCARD.search(whole)
        end = whole.rfind("/", 0, wildcard.start() if wildcard else None) + 1
        return whole[:end], whole[end:]
    if os.path.isdir(pattern):
        return f"{pattern.rstrip('/')}/", "**"
    *above, last = pattern.split("/")
    start = ""
    for place, part in enumerate(above):
        if _WILDCARD.search(part) and not os.path.lexists(start + part):
            return start, "/".join([*above[place:], last])
        start += f"{part}/"
    return start, last


def root(patterns: Sequence[str]) -> str:
    """Returns the directory that the matches of all patterns have in common.

    It ends with a slash, or is "" if they have none.
    """
    starts = [parted(pattern)[0].split("/")[:-1] for pattern in patterns]
    same = itertools.takewhile(
        lambda parts: len(set(parts)) == 1, zip(*starts, strict=False)
    )
    return "".join(f"{parts[0]}/" for parts in same)


def _match(path: str) -> Match:
    """Returns a path with the bytes of its file; 0 if it is none."""
    return path, int(tree.version(path).partition(" ")[0] or 0), ""


def _skipped(name: str, rest: str) -> str:
    """Returns why a file is skipped, unless the pattern itself names such."""
    hidden = file_names.is_skipped(name) and not file_names.is_skipped(rest)
    return file_names.SKIPPED if hidden else ""


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
