"""Files on local disks and in object stores, through Beam's file systems.

A path with a scheme, such as "gs://bucket/data", needs the extra of that
store: `apache-beam[gcp]` for gs://. Nothing is ever decompressed on the way.
"""

import os
import shutil
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

_AS_IT_IS = CompressionTypes.UNCOMPRESSED


def is_local(path: str | os.PathLike) -> bool:
    """Returns whether a path is one of this machine's."""
    return "://" not in os.fspath(path)


def join(directory: str, *names: str) -> str:
    """Returns the path of something below a directory."""
    return FileSystems.join(directory, *names)


def create(path: str) -> BinaryIO:
    """Opens a new file for writing; an object appears when it is closed."""
    return FileSystems.create(path, compression_type=_AS_IT_IS)


def open(path: str) -> BinaryIO:
    """Opens a file for reading, at random if wanted."""
    return FileSystems.open(path, compression_type=_AS_IT_IS)


def read(path: str) -> bytes:
    """Returns all bytes of a file."""
    with open(path) as file:
        return file.read()


def write(path: str, data: bytes) -> None:
    """Writes a file."""
    with create(path) as file:
        file.write(data)


def rename(old: str, new: str) -> None:
    """Moves a file; one that is there is replaced."""
    FileSystems.rename([old], [new])


def exists(path: str) -> bool:
    """Returns whether there is a file or, on a local disk, a directory."""
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
