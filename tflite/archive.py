"""Zip files out of which Android can map a model without unpacking it."""

import zipfile
from collections.abc import Mapping

EARLIEST = (1980, 1, 1, 0, 0, 0)  # The first moment that a zip can name.

# Tensors lie on multiples of 16 bytes in a .tflite, so 16 keeps them there.
_ALIGNMENT = 16
_ALIGNMENT_FIELD = 0xD935  # The extra field that Android's zipalign writes.


def write(path: str, files: Mapping[str, bytes]) -> None:
    """Writes `files`, by name: stored, aligned, and without a date.

    The same files always give the same bytes.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.external_attr = 0o644 << 16
            # The local header has 30 bytes, the name, and this field, whose
            # own header has 6; the data that follows starts on the alignment.
            header = archive.fp.tell() + 30 + len(name.encode()) + 6
            padding = -header % _ALIGNMENT
            entry.extra = b"".join(
                number.to_bytes(2, "little")
                for number in (_ALIGNMENT_FIELD, 2 + padding, _ALIGNMENT)
            ) + bytes(padding)
            archive.writestr(entry, data)
