"""Opens files that somebody else wrote: regular ones, of a bounded size.

Standard library only.
"""

import os
import stat
from typing import BinaryIO

# A flatbuffer could have 2 GiB. No runner here loads more than this of all
# segments of a bundle (`open_bundle`).
MAX_MODEL_BYTES = 2**29


class Unreadable(OSError, ValueError):
    """A file that is no regular one, lies elsewhere, or is too large."""


def open_regular(path: str) -> BinaryIO:
    """Opens a regular file for reading.

    A pipe or a device is refused and not waited for.

    Args:
        path: Of the file. Who does not want links followed resolves it first.

    Raises:
        OSError: if there is no such file, or it may not be read.
        Unreadable: if it is not a regular one.
    """
    try:
        # Without O_NONBLOCK opening a pipe would wait for who writes into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # A path with a zero byte.
        raise Unreadable(str(error)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("not a file")
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
        raise Unreadable(str(error)) from error
    if os.path.commonpath([inside, path]) != inside:
        raise Unreadable("a link that leads out of the directory")
    return open_regular(path)


def read(path: str | os.PathLike, most: int) -> bytes:
    """Returns what is in a regular file; nothing is read of a larger one.

    Args:
        path: Of the file; links are followed.
        most: Its largest size in bytes.

    Raises:
        OSError: as `open_regular`.
        Unreadable: as `open_regular`, or if it is larger.
    """
    with open_regular(os.fspath(path)) as source:
        size = os.fstat(source.fileno()).st_size
        if size > most:
            raise Unreadable(
                f"`{path}` must have at most {most} bytes. Received: {size}"
            )
        return source.read(size)  # What grows meanwhile is cut off.


def model(path: str | os.PathLike) -> bytes:
    """Returns what is in a .tflite file of at most `MAX_MODEL_BYTES`.

    Raises:
        OSError: as `read`.
        Unreadable: as `read`.
    """
    return read(path, MAX_MODEL_BYTES)
