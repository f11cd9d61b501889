"""Reads the rows of a table from any row on, whatever is wrong with some.

A quote that is never closed, or closed in another row, would take all rows up
to there for the text of one value. Such a row is one row that cannot be read,
and reading goes on with the line after its first.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

from tflite.format import strict_json

# Bytes; whatever has longer lines, or rows of many lines, is no table.
MAX_LINE = 1 << 20
# Bytes that may be read again because of quotes: some, and as often as this.
_REREAD, _REREAD_SHARE = 64 << 20, 8


class Row(NamedTuple):
    """Holds a row of the table.

    Attributes:
        offset: Offset at which it begins, in bytes.
        line: Line in which it begins, counted from 1.
        fields: Its values by column.
        reason: Why it cannot be read, or "".
    """

    offset: int
    line: int
    fields: Mapping[str, object]
    reason: str = ""


class Unreadable(ValueError):
    """Says that a line is no text."""


class Lines:
    """Yields the lines of a table, and knows where in the table it is.

    Unlike a generator it goes on after an error.
    """

    def __init__(self, file: BinaryIO, path: str):
        self.file = file
        self.path = path
        self.offset = 0
        self.line = 1
        self._row = (0, 1)  # Where the row begins that is being read,
        self._second = (0, 1)  # and where its second line does.
        self._texts: list[str] = []
        self._start = self._reread = 0

    def begin_row(self) -> None:
        """Marks where the lines of one more row begin."""
        self._row = self.offset, self.line
        self._texts = []

    def seek(self, offset: int, line: int) -> None:
        """Goes to a place where line `line` begins."""
        self.file.seek(offset)
        self.offset, self.line = offset, line
        self._start = offset

    def inner(self) -> list[str]:
        """Returns the lines of the row that are neither its first nor last."""
        return self._texts[1:-1]

    def row_has_several(self) -> bool:
        """Tells whether more than one line of the row was read."""
        return self.line > self._row[1] + 1

    def leave_first(self) -> None:
        """Goes back to the second line of the row.

        Raises:
            ValueError: Too much of the table is read again and again.
        """
        again = self.offset - self._second[0]
        self._reread += again
        read = self._second[0] - self._start
        if self._reread > _REREAD + _REREAD_SHARE * read:
            raise ValueError(
                "`path` must be a table whose quotes are closed in their rows. "
                f"Received: {self.path}, line {self._row[1]}, and many before "
                "it, in which one is not"
            )
        self.offset, self.line = self._second
        self.file.seek(self.offset)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        first = self.offset == 0
        data = self._read()
        whole = data
        while len(data) == MAX_LINE and not data.endswith(b"\n"):
            data = self._read()
        if not whole:
            raise StopIteration
        self.line += 1
        if self.line == self._row[1] + 1:
            self._second = self.offset, self.line
        if data is not whole:
            raise Unreadable(f"a line of more than {MAX_LINE >> 20} MiB")
        if self.offset - self._row[0] > MAX_LINE:
            raise Unreadable(f"a row of more than {MAX_LINE >> 20} MiB")
        try:
            text = whole.decode("utf-8-sig" if first else "utf-8")
        except UnicodeDecodeError as error:
            raise Unreadable("not UTF-8") from error
        self._texts.append(text)
        return text

    def _read(self) -> bytes:
        data = self.file.readline(MAX_LINE)
        self.offset += len(data)
        return data


def of_csv(
    lines: Lines,
    header: Sequence[str],
    delimiter: str,
    named: Callable[[Mapping[str, str]], bool],
) -> Iterator[Row]:
    """Yields the rows of a CSV file from where `lines` is.

    A row of several lines is believed if it has the right number of values,
    `named` holds, and the lines within do not look like rows themselves.

    Args:
        lines: Lines of the file.
        header: Names of the columns.
        delimiter: What stands between two values.
        named: Tells whether values by column can be those of an image.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True)

    def is_row(text: str) -> bool:
        values = next(csv.reader([text], delimiter=delimiter), [])
        fits = len(values) == len(header)
        return fits and named(dict(zip(header, values, strict=True)))

    while True:
        offset, line = lines.offset, lines.line
        lines.begin_row()
        fields, reason = {}, ""
        try:
            values = next(reader)
            if len(values) == len(header):
                fields = dict(zip(header, values, strict=True))
            elif values:  # Not an empty line.
                reason = f"{len(values)} values in {len(header)} columns"
        except StopIteration:
            return
        except (csv.Error, Unreadable) as error:
            reason = f"cannot be read: {error}"
        if lines.row_has_several():
            inner = lines.inner()
            alike = sum(map(is_row, inner)) if fields else 0
            if reason or not named(fields) or 2 * alike > len(inner):
                reason = reason or "a quote that is not closed in its row"
                yield Row(offset, line, {}, reason)
                lines.leave_first()
                continue
        if fields or reason:
            yield Row(offset, line, fields, reason)


def of_json(lines: Lines) -> Iterator[Row]:
    """Yields the rows of a JSON Lines file from where `lines` is."""
    while True:
        offset, line = lines.offset, lines.line
        lines.begin_row()
        try:
            text = next(lines)
            fields = strict_json.decode(text) if text.strip() else None
        except StopIteration:
            return
        except ValueError as error:  # Of the line, or of its JSON.
            yield Row(offset, line, {}, f"cannot be read: {error}")
            continue
        if isinstance(fields, dict):
            yield Row(offset, line, fields)
        elif text.strip():
            yield Row(offset, line, {}, "not a JSON object")
