"""Reads a table of image files and their labels: CSV or JSON Lines.

Both are UTF-8. A CSV file (comma, or tab in .tsv; RFC 4180) begins with a row
of column names. A JSON Lines file holds an object per line.
"""

import array
import bisect
import csv
import dataclasses
import io
import json
import posixpath
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from pipeline.data import splits
from pipeline.sources import classes, tree
from pipeline.sources.item import Found, Item
from pipeline.storage import beam_files, fingerprint
from tflite.format import strict_json

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON = ".jsonl"
_PIECE = 10_000  # Rows.
# Bytes; whatever has longer lines, or rows of many lines, is no table.
_MAX_LINE = 1 << 20


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


@dataclasses.dataclass(frozen=True)
class Table:
    """Reads a table of images; a key is the path of an image as it is written.

    A row is set aside, as "name of the table:line", when it cannot be read,
    has no path, or has the path of an earlier row.

    Attributes:
        path: The table, local or on an object store: .csv, .tsv or .jsonl.
        image: Name of the column with the paths of the images.
        label: Name of the column with their classes: texts or integers.
        split: Name of the column with their splits, of "train", "validation",
            "calibration", "test"; "train" and none are divided by hash. "" for
            a table without such a column.
        root: Directory that paths are relative to, local or on an object
            store. By default the directory of the table.
        classes: Class names in the order of their labels; images of other
            classes are set aside. By default all that occur, sorted, by value
            if they are integers.
    """

    path: str
    image: str = "path"
    label: str = "label"
    split: str = ""
    root: str = ""
    classes: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.path.lower().endswith((*_DELIMITERS, _JSON)):
            raise ValueError(
                "`path` must be a table: .csv, .tsv or .jsonl. "
                f"Received: path={self.path!r}"
            )
        path = tree.absolute(self.path)
        root = tree.absolute(self.root) if self.root else _directory(path)
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "root", root)
        object.__setattr__(self, "classes", classes.checked(self.classes))

    def find(self) -> Found:
        """Reads the table once, or twice if paths are repeated.

        Raises:
            ValueError: The table is missing or empty, lacks a column, or has
                fewer than two classes.
        """
        if not tree.version(self.path):
            raise ValueError(
                f"`path` must be an existing file. Received: {self.path!r}"
            )
        pieces, hashes, published = [], array.array("q"), set()
        for number, row in enumerate(self._rows()):
            if number % _PIECE == 0:
                pieces.append(
                    {"offset": row.offset, "line": row.line, "labels": set()}
                )
            pieces[-1]["labels"].add(_text(row.fields.get(self.label)))
            published |= {_text(row.fields.get(self.split))} & {*splits.SPLITS}
            hashes.append(hash(_text(row.fields.get(self.image))))
        occurring = set().union(*(piece["labels"] for piece in pieces)) - {""}
        names = self.classes or tuple(_sorted(occurring))
        numbers = {name: label for label, name in enumerate(names)}
        if len(occurring & numbers.keys()) < 2:
            raise ValueError(
                f"`label` must be a column of at least two classes. Received: "
                f"label={self.label!r} with {sorted(occurring)[:5]}"
                + (f", classes={list(names)}" if self.classes else "")
            )
        repeated = self._repeated(hashes)
        ends = [*(piece["line"] for piece in pieces[1:]), sys.maxsize]
        for piece, end in zip(pieces, ends, strict=True):
            known = piece["labels"] & numbers.keys()
            piece["labels"] = {name: numbers[name] for name in sorted(known)}
            here = slice(
                bisect.bisect_left(repeated, piece["line"]),
                bisect.bisect_left(repeated, end),
            )
            piece["repeated"] = repeated[here]
            piece["end"] = end
        return Found(
            labels=names,
            pieces=tuple(json.dumps(piece) for piece in pieces),
            images=len(hashes),
            splits=tuple(s for s in splits.SPLITS[1:] if s in published),
        )

    def paths(self) -> tuple[str, ...]:
        """Returns the table."""
        return (self.path,)

    def items(self, piece: str) -> Iterator[Item]:
        """Yields the images of a range of rows.

        Args:
            piece: JSON: where the range begins ("offset", "line") and ends
                ("end", a line), its "labels" by name, and its lines whose path
                is "repeated".
        """
        given = json.loads(piece)
        repeated = set(given["repeated"])
        for row in self._rows(given["offset"], given["line"]):
            if row.line >= given["end"]:
                return
            yield self._item(row, given["labels"], row.line in repeated)

    def load(self, location: str) -> bytes:
        """Returns the bytes of an image file."""
        return tree.read(location)

    def state(self) -> str:
        """Returns a hash of the table and the images, by size and time.

        In an object store everything below `root` counts, which takes one
        listing instead of a request per image.
        """
        if not tree.version(self.path):
            return ""  # `find` says so.
        paths = (_text(row.fields.get(self.image)) for row in self._rows())
        return fingerprint.of(
            tree.version(self.path),
            tree.state_of(self.root, paths)
            if beam_files.is_local(self.root)
            else tree.state(self.root),
            *(self.image, self.label, self.split, self.classes),
        )

    def _item(
        self, row: Row, labels: Mapping[str, int], repeated: bool
    ) -> Item:
        path = _text(row.fields.get(self.image))
        label = _text(row.fields.get(self.label))
        split = _text(row.fields.get(self.split)) if self.split else "train"
        key = path
        if row.reason:
            key, reason = "", row.reason
        elif not path:
            key, reason = "", f"no text in {self.image!r}"
        elif repeated:
            key, reason = "", f"has the path of an earlier row: {path!r}"
        elif not label:
            reason = f"no text or integer in {self.label!r}"
        elif label not in labels:
            reason = f"unknown class {label!r}"
        elif split and split not in splits.SPLITS:
            reason = f"unknown split {split!r}"
        else:
            location = tree.join(self.root, path)
            chosen = None if split in ("", "train") else split
            return Item(key, labels[label], location, chosen)
        name = posixpath.basename(self.path)
        return Item(key or f"{name}:{row.line}", -1, "", None, reason)

    def _repeated(self, hashes: array.array) -> list[int]:
        """Returns the lines whose path an earlier row has, in order.

        All paths together may not fit in memory: only those are compared whose
        hashes are equal.
        """
        values, counts = np.unique(np.asarray(hashes), return_counts=True)
        suspects = {*values[counts > 1].tolist()} - {hash("")}
        seen, lines = set(), []
        for row in self._rows() if suspects else ():
            path = _text(row.fields.get(self.image))
            if path in seen:
                lines.append(row.line)
            elif path and hash(path) in suspects:
                seen.add(path)
        return lines

    def _rows(self, offset: int = 0, line: int = 1) -> Iterator[Row]:
        """Yields the rows from an offset on, where line `line` begins."""
        extension = posixpath.splitext(self.path)[1].lower()
        # Files of object stores have no buffer to find the end of a line in.
        with io.BufferedReader(beam_files.open(self.path), _MAX_LINE) as file:
            lines = _Lines(file)
            if extension == _JSON:
                lines.seek(offset, line)
                yield from _json_rows(lines)
                return
            reader = csv.reader(
                lines, delimiter=_DELIMITERS[extension], strict=True
            )
            header = self._header(reader)
            if offset:
                lines.seek(offset, line)
            yield from _csv_rows(reader, lines, header)

    def _header(self, reader: Iterator[list[str]]) -> list[str]:
        try:
            header = next(reader, [])
        except (csv.Error, _Unreadable) as error:
            raise ValueError(
                "`path` must be a table in UTF-8. "
                f"Received: {self.path!r}, whose first row is {error}"
            ) from error
        for option in ("image", "label", "split"):
            column = getattr(self, option)
            if column not in header and (column or option != "split"):
                raise ValueError(
                    f"`{option}` must be a column of {self.path!r}: "
                    f"{', '.join(header)}. Received: {option}={column!r}"
                )
        return header


class _Unreadable(ValueError):
    """Says that a line is no text."""


class _Lines:
    """Yields the lines of a table, and knows where in the table it is.

    Unlike a generator it goes on after an error.
    """

    def __init__(self, file: BinaryIO):
        self.file = file
        self.offset = 0
        self.line = 1
        self._row = 0  # Where the row begins that is being read.

    def begin_row(self) -> None:
        """Marks where the lines of one more row begin."""
        self._row = self.offset

    def seek(self, offset: int, line: int) -> None:
        self.file.seek(offset)
        self.offset, self.line = offset, line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        first = self.offset == 0
        data = self._read()
        whole = data
        while len(data) == _MAX_LINE and not data.endswith(b"\n"):
            data = self._read()
        if not whole:
            raise StopIteration
        self.line += 1
        if data is not whole:
            raise _Unreadable(f"a line of more than {_MAX_LINE >> 20} MiB")
        if self.offset - self._row > _MAX_LINE:
            raise _Unreadable(f"a row of more than {_MAX_LINE >> 20} MiB")
        try:
            return whole.decode("utf-8-sig" if first else "utf-8")
        except UnicodeDecodeError as error:
            raise _Unreadable("not UTF-8") from error

    def _read(self) -> bytes:
        data = self.file.readline(_MAX_LINE)
        self.offset += len(data)
        return data


def _csv_rows(
    reader: Iterator[list[str]], lines: _Lines, header: Sequence[str]
) -> Iterator[Row]:
    while True:
        offset, line = lines.offset, lines.line
        lines.begin_row()
        try:
            values = next(reader)
        except StopIteration:
            return
        except (csv.Error, _Unreadable) as error:
            yield Row(offset, line, {}, f"cannot be read: {error}")
            continue
        if len(values) == len(header):
            yield Row(offset, line, dict(zip(header, values, strict=True)))
        elif values:  # Not an empty line.
            wrong = f"{len(values)} values in {len(header)} columns"
            yield Row(offset, line, {}, wrong)


def _json_rows(lines: _Lines) -> Iterator[Row]:
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


def _directory(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _sorted(labels: set[str]) -> list[str]:
    """Returns labels in order, by value if all are numbers."""
    if all(label.isdecimal() for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)


def _text(value: object) -> str:
    """Returns a text or an integer as a text, and "" for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or "\0" in value:
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:  # Half of a pair, which JSON can write.
        return ""
    return value
