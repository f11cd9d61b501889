"""Opens files that somebody else wrote: regular ones, of a bounded size.

Standard library only.
"""

import errno
import os
import stat
from typing import BinaryIO

# A flatbuffer could have 2 GiB. No runner here loads more than this of all
# segments of a bundle (`open_bundle`).
MAX_MODEL_BYTES = 2**29


class Unreadable(OSError, ValueError):
    """Says that a file is no regular one, lies elsewhere, or is too large."""


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Opens a regular file for reading.

    Opening a pipe would wait for ever, and a device may never end: both are
    refused.

    Args:
        path: Of the file. Who does not want links followed resolves it first.

    Raises:
        OSError: if there is no such file, or it may not be read.
        Unreadable: if it is not a regular one.
    """
    descriptor, _ = _opened(path)
    return open(descriptor, "rb")


def open_inside(directory: str, name: str) -> BinaryIO:
    """Opens a regular file of a directory, and nothing outside of it.

    The directory itself may be reached over a link. A link in it may lead to
    another file in it, and nowhere else.

    Args:
        directory: Where the file must be.
        name: Of the file in it.

    Raises:
        OSError: as `open_regular`.
        Unreadable: as `open_regular`, or if `name` leads out of `directory`.
    """
    try:
        inside = os.path.realpath(directory, strict=True)
        path = os.path.realpath(os.path.join(inside, name), strict=True)
    except ValueError as error:
        raise Unreadable(errno.EINVAL, str(error)) from error
    if os.path.commonpath([inside, path]) != inside:
        raise Unreadable(errno.EINVAL, "a link that leads out of the directory")
    return open_regular(path)


def read(path: str | os.PathLike, most: int) -> bytes:
    """Returns the bytes of a regular file; reads nothing of a larger one.

    A sparse file takes no room on the disk, but all of the memory.

    Args:
        path: Of the file; links are followed.
        most: Its largest size in bytes.

    Raises:
        OSError: as `open_regular`.
        Unreadable: as `open_regular`, or if it is larger.
    """
    descriptor, size = _opened(path)  # Half the time of a Python file.
    try:
        if size > most:
            raise Unreadable(errno.EFBIG, f"larger than {in_mib(most)}")
        data = os.read(descriptor, size)
        # Some file systems give less than they are asked for.
        while len(data) < size and (
            more := os.read(descriptor, size - len(data))
        ):
            data += more
        return data
    finally:
        os.close(descriptor)


def in_mib(size: int) -> str:
    """Returns a number of bytes as a text, such as "64 MiB"."""
    return f"{size / 2**20:g} MiB"


def model(path: str | os.PathLike) -> bytes:
    """Returns the bytes of a .tflite file of at most `MAX_MODEL_BYTES`.

    Raises:
        OSError: as `read`.
        Unreadable: as `read`.
    """
    return read(path, MAX_MODEL_BYTES)


def _opened(path: str | os.PathLike) -> tuple[int, int]:
    """Returns the descriptor of a regular file, and its size in bytes."""
    try:
        # Without O_NONBLOCK opening a pipe would wait for who writes into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # A path with a zero byte.
        raise Unreadable(errno.EINVAL, str(error)) from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status.st_size
    os.close(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable(errno.EISDIR, os.strerror(errno.EISDIR))
    raise Unreadable(errno.EINVAL, "not a file")
