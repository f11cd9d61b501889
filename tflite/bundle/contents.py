"""Reads the files of a bundle, in a directory or in a bundle.zip.

None is followed out of the directory, and of none more is read than the
manifest says that it has.
"""

import hashlib
import os
from typing import BinaryIO

from tflite.bundle import archive, manifest, manifest_rules
from tflite.bundle.invalid_bundle import InvalidBundle
from tflite.format import files


def labels(directory: str, facts: manifest.FileFacts | str) -> tuple[str, ...]:
    """Reads the names of the classes.

    Args:
        directory: The bundle's directory, or a bundle.zip.
        facts: `labels` of the manifest.

    Raises:
        InvalidBundle: as `content`; or if it is not UTF-8, one line per class.
    """
    return _lines(_listed(directory, facts))


def text(directory: str, file: str) -> bytes:
    """Reads a file without comparing it with the manifest.

    Raises:
        InvalidBundle: if it is missing, or has more than
            `manifest_rules.MAX_TEXT_BYTES`.
    """
    most = manifest_rules.MAX_TEXT_BYTES
    if os.path.isfile(directory):
        return _archived(directory, file, most)
    with _open(directory, file) as source:
        found = os.fstat(source.fileno()).st_size
        if found > most:
            raise InvalidBundle(
                f"`{file}` must have at most {most} bytes. Received: {found}"
            )
        return source.read(found)


def content(directory: str, facts: manifest.FileFacts) -> bytes:
    """Reads a file and compares it with the manifest.

    The size is compared first, so that no more is read than the manifest says.

    Raises:
        InvalidBundle: if it is missing or not the file that was written.
    """
    if os.path.isfile(directory):
        data = _archived(directory, facts.file, facts.bytes)
        _check_hash(data, facts)
        return data
    with _open(directory, facts.file) as source:
        return _checked(source, facts)


def open_content(
    directory: str, facts: manifest.FileFacts
) -> tuple[BinaryIO, bytes]:
    """Returns a file of a directory, open, and its checked content.

    Raises:
        InvalidBundle: as `content`.
    """
    source = _open(directory, facts.file)
    try:
        return source, _checked(source, facts)
    except InvalidBundle:
        source.close()
        raise


def lacks(directory: str, file: str) -> bool:
    """Tells whether a directory or a bundle.zip has no such file at all.

    Raises:
        InvalidBundle: if the bundle.zip is damaged.
    """
    if not os.path.isfile(directory):
        return not os.path.lexists(os.path.join(directory, file))
    try:
        return file not in archive.names(directory)
    except (OSError, archive.InvalidArchive) as error:
        raise InvalidBundle(
            f"`directory` must be a bundle or a bundle.zip. "
            f"Received: {directory} ({error})"
        ) from error


def _checked(source: BinaryIO, facts: manifest.FileFacts) -> bytes:
    """Reads an open file whose size is right, and compares the hash."""
    found = os.fstat(source.fileno()).st_size
    if found != facts.bytes:
        raise InvalidBundle(
            f"`{facts.file}` must have {facts.bytes} bytes with SHA-256 "
            f"{facts.sha256}. Received: {found} bytes"
        )
    data = source.read(found)
    _check_hash(data, facts)
    return data


def _check_hash(data: bytes, facts: manifest.FileFacts) -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    if (len(data), sha256) != (facts.bytes, facts.sha256):
        raise InvalidBundle(
            f"`{facts.file}` must have {facts.bytes} bytes with SHA-256 "
            f"{facts.sha256}. Received: {len(data)} bytes with {sha256}"
        )


def _archived(path: str, file: str, most: int) -> bytes:
    try:
        return archive.read(path, file, most)
    except (OSError, archive.InvalidArchive) as error:
        raise InvalidBundle(
            "`directory` must be a bundle or a bundle.zip. "
            f"Received: {path} ({error})"
        ) from error


def _open(directory: str, file: str) -> BinaryIO:
    try:
        return files.open_inside(directory, file)
    except OSError as error:
        raise InvalidBundle(
            f"`directory` must be a bundle with a file {file}. "
            f"Received: {directory} ({error.strerror or error})"
        ) from error


def _listed(directory: str, facts: manifest.FileFacts | str) -> bytes:
    """Reads the labels' file; compares it if the manifest has its hash."""
    if isinstance(facts, str):
        return text(directory, facts)
    if facts.bytes > manifest_rules.MAX_TEXT_BYTES:
        raise InvalidBundle(
            f"`labels.bytes` must be at most {manifest_rules.MAX_TEXT_BYTES}. "
            f"Received: {facts.bytes}"
        )
    return content(directory, facts)


def _lines(data: bytes) -> tuple[str, ...]:
    try:
        labels = tuple(data.decode().split("\n"))
    except UnicodeDecodeError as error:
        raise InvalidBundle(
            f"`labels` must be UTF-8. Received: {error}"
        ) from None
    if len(labels) < 2 or labels[-1] or "" in labels[:-1]:
        raise InvalidBundle(
            "`labels` must hold one line per class. "
            f"Received: {len(labels)} lines, some empty"
        )
    return labels[:-1]
