"""Reads a table of image files and their labels: CSV or JSON Lines.

Both are UTF-8. A CSV file (comma, or tab in .tsv; RFC 4180) begins with a row
of column names. A JSON Lines file holds an object per line.
"""

import array
import bisect
import collections
import csv
import dataclasses
import io
import json
import posixpath
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np
from absl import logging

from pipeline.data import splits
from pipeline.sources import classes, split_names, table_rows, tree
from pipeline.sources.item import Found, Item
from pipeline.sources.table_rows import Row
from pipeline.storage import beam_files, fingerprint

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON = ".jsonl"
_PIECE = 10_000  # Rows.
_BEGIN = 4096  # Bytes from which a JSON array is told.


@dataclasses.dataclass(frozen=True)
class Table:
    """Reads a table of images; a key is the path of an image as it is written.

    A row is set aside, as "name of the table:line", when it cannot be read,
    has no path, or has the path of an earlier row.

    Attributes:
        path: The table, local or on an object store: .csv, .tsv or .jsonl.
        image: Name of the column with the paths of the images.
        label: Name of the column with their classes: texts or integers.
        split: Name of the column with their splits, "train", "validation",
            "calibration" or "test", in any usual spelling; "train" and none
            are divided by hash. "" for a table without such a column.
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
        pieces, hashes = [], array.array("q")
        images, elsewhere = collections.Counter(), collections.Counter()
        for number, row in enumerate(self._rows()):
            if number % _PIECE == 0:
                pieces.append(
                    {"offset": row.offset, "line": row.line, "labels": set()}
                )
            pieces[-1]["labels"].add(_text(row.fields.get(self.label)))
            split = self._split(row)
            images[split if split in splits.SPLITS[1:] else ""] += 1
            path = _text(row.fields.get(self.image))
            hashes.append(hash(path))
            if not self.split:
                elsewhere[split_names.within(posixpath.dirname(path))] += 1
        self._warn(elsewhere)
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
            splits=tuple(s for s in splits.SPLITS[1:] if images[s]),
            divided=images[""],
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
        split = self._split(row)
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
        elif split is None:
            said = _text(row.fields.get(self.split))
            reason = f"unknown split {said!r}"
        else:
            location = tree.join(self.root, path)
            chosen = None if split in ("", "train") else split
            return Item(key, labels[label], location, chosen)
        name = posixpath.basename(self.path)
        return Item(key or f"{name}:{row.line}", -1, "", None, reason)

    def _split(self, row: Row) -> str | None:
        """Returns the split of a row, "" if it says none, None if another."""
        said = _text(row.fields.get(self.split)) if self.split else ""
        return (split_names.of(said) or None) if said else ""

    def _warn(self, elsewhere: Mapping[str, int]) -> None:
        """Warns of images that seem to be held out, if no column says so."""
        held = {s: elsewhere[s] for s in splits.SPLITS[1:] if elsewhere[s]}
        if held and elsewhere.total() > sum(held.values()):
            logging.warning(
                "%s: some images lie in directories that are named like splits "
                "(%s), but are divided by hash as all are; name a column as "
                "`split` to keep them apart",
                self.path,
                ", ".join(f"{split}: {n}" for split, n in held.items()),
            )

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
        with io.BufferedReader(
            beam_files.open(self.path), table_rows.MAX_LINE
        ) as file:
            lines = table_rows.Lines(file, self.path)
            if extension == _JSON:
                self._refuse_array(file)
                lines.seek(offset, line)
                yield from table_rows.of_json(lines)
                return
            delimiter = _DELIMITERS[extension]
            header = self._header(lines, delimiter)
            if offset:
                lines.seek(offset, line)
            yield from table_rows.of_csv(
                lines, header, delimiter, self._may_be_row
            )

    def _may_be_row(self, fields: Mapping[str, str]) -> bool:
        """Tells whether some values of CSV can be those of an image.

        No name of a class or a split has several lines.
        """
        short = [fields.get(name, "") for name in (self.label, self.split)]
        return bool(fields.get(self.image) and short[0]) and not any(
            set("\r\n") & set(value) for value in short
        )

    def _refuse_array(self, file: BinaryIO) -> None:
        """Raises ValueError if a file is one JSON array."""
        begin = file.peek(_BEGIN)[:_BEGIN].removeprefix(b"\xef\xbb\xbf")
        if begin.lstrip()[:1] == b"[" and b"{" in begin:
            raise ValueError(
                "`path` must hold a JSON object per line in a .jsonl file. "
                f"Received: {self.path!r}, which begins as one JSON array"
            )

    def _header(self, lines: table_rows.Lines, delimiter: str) -> list[str]:
        try:
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            header = next(reader, [])
            if lines.row_has_several():
                raise csv.Error("of several lines: is a quote not closed?")
        except (csv.Error, table_rows.Unreadable) as error:
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
            if column and header.count(column) > 1:
                raise ValueError(
                    f"`{option}` must be one column of {self.path!r}. "
                    f"Received: {option}={column!r}, the name of columns "
                    + " and ".join(
                        str(place)
                        for place, name in enumerate(header, 1)
                        if name == column
                    )
                )
        return header


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
