"""Reads the records of a TFRecord file, whatever is wrong with it."""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.data import image
from pipeline.storage import beam_files, tfrecord_file
from tflite.format import files

# No record is larger, in bytes: the file of an image, and what is said of it.
MAX_RECORD = image.MAX_BYTES + (1 << 20)

_LOST = "nothing after it can be found"


class Found(NamedTuple):
    """Holds a record found at one place of a file, or why there is none.

    Attributes:
        offset: Offset at which it begins, in bytes.
        data: Data of a sound record.
        reason: Why there is no sound record, or "".
    """

    offset: int
    data: bytes
    reason: str = ""


def find(path: str, start: int = 0, stop: int | None = None) -> Iterator[Found]:
    """Yields the records between two offsets of a file, sound or not.

    Damaged data costs that record, a damaged length all that is behind it: the
    rest is one more `Found`. A file that cannot be opened is one `Found`, too,
    and so is the rest behind a place that cannot be read.

    Args:
        path: Path of the file, local or in an object store.
        start: Offset at which a record begins.
        stop: Offset at which one ends; None for the end of the file.
    """
    offset = start
    try:
        with beam_files.open(path) as file:
            if stop is None:
                stop = beam_files.size(file)
            file.seek(start)
            while offset < stop:
                header = file.read(tfrecord_file.HEADER)
                try:
                    whole = tfrecord_file.whole(header)
                    if whole > stop - offset:
                        raise tfrecord_file.Damaged("truncated record")
                except tfrecord_file.Damaged as error:
                    yield Found(offset, b"", f"{error}; {_LOST}")
                    return
                size = whole - tfrecord_file.HEADER - tfrecord_file.FOOTER
                if size > MAX_RECORD:
                    file.seek(offset + whole)
                    allowed = files.in_mib(MAX_RECORD)
                    yield Found(offset, b"", f"a record of more than {allowed}")
                else:
                    data = file.read(size)
                    yield _checked(
                        offset, data, file.read(tfrecord_file.FOOTER)
                    )
                offset += whole
    except Exception as error:
        reason = beam_files.fault(error)
        if not reason:
            raise
        yield Found(offset, b"", f"{reason}; {_LOST}")


def _checked(offset: int, data: bytes, footer: bytes) -> Found:
    try:
        return Found(offset, tfrecord_file.checked(data, footer))
    except tfrecord_file.Damaged as error:
        return Found(offset, b"", str(error))
