"""Checks a whole directory against its manifest.

A reader compares each file that it needs. Nobody needs bundle.zip and the
directory at once, or a file that no manifest names; both are looked at here.
"""

import os

from tflite.bundle import archive, contents
from tflite.bundle.directory import ARCHIVE, Bundle
from tflite.bundle.invalid_bundle import InvalidBundle
from tflite.format import files


def archive_bytes(opened: Bundle) -> int | None:
    """Returns the size of the archive: the bundle, or the bundle.zip in it.

    The size is None if the directory has no archive.

    Raises:
        InvalidBundle: if it is no file, or a link leads out of the directory.
    """
    path = _path(opened)
    return os.path.getsize(path) if os.path.lexists(path) else None


def check_archive(directory: str) -> None:
    """Checks that the bundle.zip of a directory is a file of it.

    Raises:
        InvalidBundle: if it is no file, or a link leads out of the directory.
    """
    try:
        files.open_inside(directory, ARCHIVE).close()
    except OSError as error:
        raise InvalidBundle(
            f"{ARCHIVE} must be a file of the bundle. "
            f"Received: {directory} ({error.strerror or error})"
        ) from error


def foreign(opened: Bundle) -> tuple[str, ...]:
    """Returns the names of files that nobody vouches for, sorted.

    These are files beside the manifest that it does not name, or entries of a
    bundle.zip. No reader looks at them.

    Raises:
        InvalidBundle: if a bundle.zip is damaged.
    """
    known = set(opened.files)
    if os.path.isfile(opened.directory):
        return tuple(sorted(set(_names(opened.directory)) - known))
    known.add(ARCHIVE)
    if opened.calibration is not None:
        known.add(opened.calibration.file)
    return tuple(sorted(set(os.listdir(opened.directory)) - known))


def differences(opened: Bundle) -> list[str]:
    """Compares bundle.zip with the directory that it lies in, byte for byte.

    Each file of the directory is compared with the manifest, too.

    Args:
        opened: A bundle in a directory.

    Returns:
        A line for each difference: a file that one of the two lacks, or that
        differs. No line means that the archive is the directory.

    Raises:
        InvalidBundle: if a file of the directory is not what the manifest says.
    """
    try:
        zipped = _path(opened)
        names = _names(zipped)
    except InvalidBundle as error:
        return [str(error)]
    shipped = set(opened.files)
    lines = [f"{ARCHIVE} has no {name}" for name in shipped.difference(names)]
    lines += [
        f"{ARCHIVE} has {name!r}, which the manifest does not name"
        for name in set(names) - shipped
    ]
    facts = {each.file: each for each in opened.segments}
    for name in shipped.intersection(names):
        if name in facts:
            data = contents.content(opened.directory, facts[name])
        else:
            data = contents.text(opened.directory, name)
        try:
            same = archive.read(zipped, name, len(data)) == data
        except archive.InvalidArchive:
            same = False
        if not same:
            lines.append(f"{ARCHIVE} has another {name}")
    return sorted(lines)


def _names(zipped: str) -> tuple[str, ...]:
    try:
        return archive.names(zipped)
    except (OSError, archive.InvalidArchive) as error:
        raise InvalidBundle(
            f"{ARCHIVE} must be a sound archive. Received: {error}"
        ) from error


def _path(opened: Bundle) -> str:
    """Returns the archive's path; it may not exist but leads nowhere else."""
    directory = opened.directory
    if os.path.isfile(directory):
        return directory
    found = os.path.join(directory, ARCHIVE)
    if os.path.lexists(found):
        check_archive(directory)
    return found
