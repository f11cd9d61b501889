"""Writes and reads zips whose models Android can map without unpacking."""

import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

from tflite.format import files

EARLIEST = (1980, 1, 1, 0, 0, 0)  # The first moment that a zip can name.

# Tensors lie on multiples of 16 bytes in a .tflite, so 16 keeps them there.
_ALIGNMENT = 16
_ALIGNMENT_FIELD = 0xD935  # The extra field that Android's zipalign writes.

# The records of a zip (APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16), up to
# the names in them.
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_MAX_DIRECTORY_BYTES = 2**20


class InvalidArchive(ValueError):
    """Says that a zip is damaged, or none that `write` would have written."""


class _Entry(NamedTuple):
    """Holds where a file's local header is in a zip, its size and CRC-32."""

    header: int
    size: int
    crc: int


def write(path: str, contents: Mapping[str, bytes]) -> None:
    """Writes files by name into a zip: stored, aligned, and without a date.

    The same files always give the same bytes.
    """
    with (
        open(path, "wb") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.external_attr = 0o644 << 16
            # The local header has 30 bytes, the name, and this field, whose
            # own header has 6; the data that follows starts on the alignment.
            header = file.tell() + 30 + len(name.encode()) + 6
            padding = -header % _ALIGNMENT
            entry.extra = b"".join(
                number.to_bytes(2, "little")
                for number in (_ALIGNMENT_FIELD, 2 + padding, _ALIGNMENT)
            ) + bytes(padding)
            archive.writestr(entry, data)


def read(path: str, name: str, most: int) -> bytes:
    """Returns a file of a zip, as it lies there.

    Args:
        path: Path of the zip.
        name: Name of the file in it.
        most: Its largest size; no memory is taken for more.

    Raises:
        OSError: if the zip cannot be opened, or is no file.
        InvalidArchive: if it is damaged, has no such file, or the file is
            compressed, encrypted, there twice, or too large.
    """
    with files.open_regular(path) as source:
        size = os.fstat(source.fileno()).st_size
        entry = _entries(source, size).get(name)
        if entry is None:
            raise InvalidArchive(f"it must hold a file {name}. Received: none")
        if entry.size > most:
            raise InvalidArchive(
                f"`{name}` must have at most {most} bytes. "
                f"Received: {entry.size}"
            )
        start = entry.header + _LOCAL.size
        header = _record(_LOCAL, b"PK\3\4", _at(source, entry.header, start))
        start += header[-2] + header[-1]  # The name, and what is extra.
        data = _at(source, start, start + entry.size)
    if len(data) != entry.size or zlib.crc32(data) != entry.crc:
        raise InvalidArchive(f"`{name}` is damaged or cut off")
    return data


def names(path: str) -> tuple[str, ...]:
    """Returns the names of all files of a zip, in its order.

    Raises:
        OSError: if the zip cannot be opened, or is no file.
        InvalidArchive: if it is damaged, or a file is compressed, encrypted or
            there twice.
    """
    with files.open_regular(path) as source:
        return tuple(_entries(source, os.fstat(source.fileno()).st_size))


def _entries(source: BinaryIO, size: int) -> dict[str, _Entry]:
    """Reads the directory at the end of a zip; stored files only."""
    end = _record(_END, b"PK\5\6", _at(source, size - _END.size, size))
    count, length, start = end[4], end[5], end[6]
    if length > _MAX_DIRECTORY_BYTES:
        raise InvalidArchive(
            f"its directory must have at most {_MAX_DIRECTORY_BYTES} bytes. "
            f"Received: {length}"
        )
    directory = _at(source, start, start + length)
    found, at = {}, 0
    for _ in range(count):
        record = _record(_CENTRAL, b"PK\1\2", directory[at:])
        flags, method, crc, stored, plain = record[3], record[4], *record[7:10]
        name = directory[at + _CENTRAL.size :][: record[10]]
        if flags & 1 or method != zipfile.ZIP_STORED or stored != plain:
            raise InvalidArchive(
                "its files must be stored, not compressed or encrypted. "
                f"Received: {name!r}"
            )
        if plain > size:
            raise InvalidArchive(
                f"its files must be smaller than its own {size} bytes. "
                f"Received: {name!r} of {plain} bytes"
            )
        text = name.decode("utf-8", "replace")
        if text in found:
            raise InvalidArchive(f"it must hold {text!r} once")
        found[text] = _Entry(record[-1], plain, crc)
        at += _CENTRAL.size + sum(record[10:13])
    return found


def _record(layout: struct.Struct, signature: bytes, data: bytes) -> tuple:
    if len(data) < layout.size or data[:4] != signature:
        raise InvalidArchive(
            "it must be a zip without a comment, as bundles are written. "
            f"Received: {data[: layout.size]!r} for a record"
        )
    return layout.unpack_from(data)


def _at(source: BinaryIO, start: int, stop: int) -> bytes:
    """Reads some bytes of a file; fewer if it ends before."""
    end = source.seek(0, os.SEEK_END)
    start, stop = max(start, 0), min(stop, end)
    source.seek(start)
    return source.read(max(0, stop - start))
