"""Lists files below a directory, on a local disk or on an object store.

A path with a scheme, such as gs://bucket/photos, goes through Beam's file
systems. A local path does not: Beam's listing passes over links to directories,
dangling links and unreadable directories without a word.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems

from pipeline.data.image import MAX_BYTES, BadImage
from pipeline.storage import beam_files


class Entry(NamedTuple):
    """Describes a file or a directory.

    Attributes:
        name: Path below the directory that is walked, with forward slashes. The
            path of a directory ends with one.
        fault: Why it cannot be entered, or "".
    """

    name: str
    fault: str = ""


def absolute(path: str) -> str:
    """Returns a path that means the same in every process.

    Raises:
        ValueError: There is none.
    """
    if not path:
        raise ValueError("`path` must be given. Received: path=''")
    return (
        os.path.abspath(path) if beam_files.is_local(path) else path.rstrip("/")
    )


def join(directory: str, name: str) -> str:
    """Returns the path of `name` in a directory; an absolute one stays."""
    if not beam_files.is_local(name):
        return name
    if beam_files.is_local(directory):
        return os.path.join(directory, name)
    return f"{directory.rstrip('/')}/{name}"


def is_directory(path: str) -> bool:
    """Tells whether a path is a directory, or has an object below it."""
    if beam_files.is_local(path):
        return os.path.isdir(path)
    return any(True for _ in _listed(path))


def walk(
    path: str,
    below: str = "",
    skip: Callable[[str], bool] = lambda name: False,
) -> Iterator[Entry]:
    """Yields the entries below a directory, in no particular order.

    Links are followed. Nothing is passed over: a link to nothing is a file,
    and a directory that cannot be entered is an entry with a fault; the entry
    of `path` itself has no name.

    Args:
        path: The directory that names are relative to.
        below: Directory in it, such as "train/cat", whose entries are wanted.
        skip: Tells for the name of a directory, without a slash at its end,
            whether it is not to be entered.
    """
    if beam_files.is_local(path):
        yield from _walk(path, below, skip)
        return
    for file in _listed(join(path, below) if below else path):
        name = _below(path, file)
        if not any(skip(parent) for parent in _parents(name)):
            yield Entry(name)


def state(path: str) -> str:
    """Returns a hash of the names, sizes and times below a directory."""
    if beam_files.is_local(path):
        return state_of(path, (entry.name for entry in walk(path)))
    return _sum(f"{_below(path, f)}\0{_version(f)}" for f in _listed(path))


def state_of(path: str, names: Iterable[str]) -> str:
    """Returns a hash of the names, sizes and times of some files.

    Args:
        path: Directory that the names are relative to.
        names: Names in any order. A name that ends with a slash counts by
            itself.
    """
    return _sum(f"{name}\0{version(join(path, name))}" for name in names)


def version(path: str) -> str:
    """Returns the size and the time of a file, or "" if there is no file."""
    try:
        if not beam_files.is_local(path):
            return _version(FileSystems.get_filesystem(path).metadata(path))
        status = os.stat(path)
    except (OSError, *beam_files.NOT_INSTALLED):
        return ""
    if not stat.S_ISREG(status.st_mode):
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def read(path: str, max_bytes: int = MAX_BYTES) -> bytes:
    """Returns the bytes of an image file.

    Raises:
        BadImage: It has gone, may not be read, or is no file of at most
            `max_bytes` bytes. Other errors pass, so that a runner tries again.
    """
    with set_aside():
        return beam_files.read(path, max_bytes)


@contextlib.contextmanager
def set_aside() -> Iterator[None]:
    """Turns a file's error that trying again does not mend into a reason.

    Raises:
        BadImage: In place of such an error; others pass.
    """
    try:
        yield
    except Exception as error:
        if reason := beam_files.fault(error):
            raise BadImage(reason) from error
        raise


def _walk(
    root: str, below: str, skip: Callable[[str], bool]
) -> Iterator[Entry]:
    start = f"{below}/" if below else ""
    above = ["", *_parents(below)] if below else []
    waiting = [(start, tuple(_identity(root, name) for name in above))]
    while waiting:
        name, above = waiting.pop()
        try:
            identity = _identity(root, name)
            if identity in above:
                yield Entry(name, "a link to a directory that holds it")
                continue
            with os.scandir(os.path.join(root, name)) as entries:
                if name:
                    yield Entry(name)
                for entry in entries:
                    inner = name + entry.name
                    if not _enters(entry):
                        yield Entry(inner)
                    elif not skip(inner):
                        waiting.append((f"{inner}/", (*above, identity)))
        except OSError as error:
            yield Entry(name, f"cannot be listed: {error.strerror}")


def _parents(name: str) -> Iterator[str]:
    """Yields the directories of a name, such as "a" and "a/b" of "a/b/c"."""
    return (name[:at] for at, letter in enumerate(name) if letter == "/")


def _identity(root: str, name: str) -> tuple[int, int]:
    status = os.stat(os.path.join(root, name))
    return status.st_dev, status.st_ino


def _enters(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link to itself.
        return False


def _listed(path: str) -> Iterator[FileMetadata]:
    """Yields the objects below a directory of an object store."""
    system = FileSystems.get_filesystem(path)
    if system.has_dirs():
        raise ValueError(
            "`path` must be a local directory, or one of an object store. "
            f"Received: path={path!r}"
        )
    # FileSystems.match would return a list, and cannot quote a "[".
    yield from system._list(path.rstrip("/") + "/")


def _below(path: str, file: FileMetadata) -> str:
    return file.path[len(path.rstrip("/")) + 1 :]


def _version(file: FileMetadata) -> str:
    return f"{file.size_in_bytes} {file.last_updated_in_seconds}"


def _sum(facts: Iterable[str]) -> str:
    """Returns a hash that does not depend on the order, in little memory."""
    total = 0
    for fact in facts:
        encoded = fact.encode(errors="surrogateescape")
        total += int.from_bytes(hashlib.sha256(encoded).digest())
    return f"{total % (1 << 256):064x}"
