"""Reads and writes local files and objects through Beam's file systems.

A path with a scheme, such as "gs://bucket/data", needs the extra of that
store: `apache-beam[gcp]` for gs://. Nothing is ever decompressed on the way.
"""

import errno
import io
import os
import shutil
from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tflite.format import files

# What trying again does not mend.
_LASTING = (
    errno.EACCES,
    errno.EBADMSG,
    errno.EFBIG,
    errno.EINVAL,
    errno.EIO,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENODATA,
    errno.ENODEV,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENXIO,
    errno.EOVERFLOW,
    errno.EPERM,
)

# What Beam raises for a scheme whose file system is not installed.
NOT_INSTALLED = (AssertionError, ImportError, ValueError)

_AS_IT_IS = CompressionTypes.UNCOMPRESSED


def is_local(path: str | os.PathLike) -> bool:
    """Tells whether a path is one of this machine's."""
    return "://" not in os.fspath(path)


def join(directory: str, *names: str) -> str:
    """Returns the path of something below a directory."""
    return FileSystems.join(directory, *names)


def create(path: str) -> BinaryIO:
    """Opens a new file for writing; an object appears when it is closed."""
    return FileSystems.create(path, compression_type=_AS_IT_IS)


def open(path: str) -> BinaryIO:
    """Opens a file for reading, at random if wanted.

    Raises:
        OSError: A local path is no regular file, or no file system knows the
            scheme. Object stores raise errors of their own, too: see `fault`.
    """
    if is_local(path):
        return files.open_regular(path)
    try:
        system = FileSystems.get_filesystem(path)
    except (BeamIOError, ValueError) as error:
        raise _unknown(path) from error
    try:
        return system.open(path, compression_type=_AS_IT_IS)
    except NOT_INSTALLED as error:
        raise _unknown(path) from error


def read(path: str, max_bytes: int | None = None) -> bytes:
    """Returns all bytes of a file.

    Args:
        path: Path of the file.
        max_bytes: The most bytes that it may have; None for files of our own.

    Raises:
        OSError: A local path is no regular file, no file system knows the
            scheme, or the file has more than `max_bytes` bytes. Object stores
            raise errors of their own, too: see `fault`.
    """
    if max_bytes is None:
        with open(path) as file:
            return file.read()
    if is_local(path):
        return files.read(path, max_bytes)
    with open(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        allowed = files.in_mib(max_bytes)
        raise OSError(errno.EFBIG, f"larger than {allowed}")
    return data


def size(file: BinaryIO) -> int:
    """Returns the size of an open file in bytes, and goes to its beginning."""
    total = file.seek(0, io.SEEK_END)
    file.seek(0)
    return total


def fault(error: Exception) -> str:
    """Returns why a file cannot be read, as a reason to set it aside.

    The reason is "" for errors that trying again may mend, and for those that
    are not of a file.
    """
    if isinstance(error, OSError) and error.errno in _LASTING:
        return f"cannot be read: {error.strerror}"
    # Errors of object stores have types that need not be installed.
    if getattr(error, "code", None) in (403, 404):
        return f"cannot be read: {type(error).__name__}"
    return ""


def write(path: str, data: bytes) -> None:
    """Writes a file."""
    with create(path) as file:
        file.write(data)


def rename(old: str, new: str) -> None:
    """Moves a file, and replaces a file that is there."""
    FileSystems.rename([old], [new])


def exists(path: str) -> bool:
    """Tells whether there is a file or, on a local disk, a directory."""
    return FileSystems.exists(path)


def make_directory(path: str) -> None:
    """Makes a directory where it is needed: object stores have none."""
    if is_local(path):
        os.makedirs(path, exist_ok=True)


def remove_tree(path: str) -> None:
    """Removes a directory and all in it, if it is there."""
    if is_local(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    found = FileSystems.match([join(path, "**")])[0].metadata_list
    if found:
        FileSystems.delete([metadata.path for metadata in found])


def _unknown(path: str) -> OSError:
    scheme = path.partition("://")[0]
    return OSError(
        errno.EINVAL, f"no file system is installed for this {scheme}://"
    )
