"""Reads and writes what each segment of a bundle costs, in milliseconds.

`benchmark` writes the file; one from a phone has the same form.
docs/benchmark.md describes it.
"""

import dataclasses
import math
import os
import pathlib
from collections.abc import Sequence

from pipeline.storage import json_file, publishing
from tflite import bundle

_VERSION = 1
_KEYS = ("format_version", "segments", "decision_ms", "about")
_SEGMENT_KEYS = ("file", "sha256", "ms")


@dataclasses.dataclass(frozen=True)
class CostTable:
    """Holds milliseconds by segment of one bundle.

    Attributes:
        files: Names of the segments' files, in their order, [S].
        hashes: SHA-256 of each file, hexadecimal, [S].
        ms: Milliseconds that running each adds, [S]. Gates and bypasses are
            segments as well; None where gates kept one from running.
        decision_ms: Milliseconds to decide whether an image stops at an exit,
            at each but the last.
        about: Where it was measured, in words.
    """

    files: tuple[str, ...]
    hashes: tuple[str, ...]
    ms: tuple[float | None, ...]
    decision_ms: float = 0.0
    about: str = ""

    def exit_ms(self, opened: bundle.Bundle) -> list[float]:
        """Returns the milliseconds up to each exit of a bundle, [K].

        An image at exit k has been decided upon at the k exits before and,
        unless that is the last, at this one.

        Raises:
            ValueError: If the bundle has other segments than the table, or has
                gates, for then the time depends on the image.
        """
        self.check(opened)
        if opened.gated:
            raise ValueError(
                "`costs` must be of a bundle without gates: what an image "
                "costs at an exit depends on the gates it opens. Received: "
                f"{opened.directory}"
            )
        if None in self.ms:
            raise ValueError(
                "`costs` must have a time for every segment. Received: none "
                f"for {self.files[self.ms.index(None)]}"
            )
        last = len(opened.ends) - 1
        return [
            sum(ms for ms in self.ms[: end + 1] if ms is not None)
            + self.decision_ms * min(exit + 1, last)
            for exit, end in enumerate(opened.ends)
        ]

    def check(self, opened: bundle.Bundle) -> None:
        """Checks that the table was measured on a bundle's segments.

        Raises:
            ValueError: If it was not.
        """
        theirs = [each.sha256 for each in opened.segments]
        if list(self.hashes) != theirs:
            raise ValueError(
                f"`costs` must be measured on the segments of "
                f"{opened.directory}, {len(theirs)} files by their SHA-256. "
                f"Received: {len(self.hashes)} of which "
                f"{len(set(self.hashes) & set(theirs))} are among them"
            )


def of(
    opened: bundle.Bundle,
    ms: Sequence[float | None],
    decision_ms: float = 0.0,
    about: str = "",
) -> CostTable:
    """Makes the table of a bundle from milliseconds per segment, [S]."""
    return CostTable(
        tuple(each.file for each in opened.segments),
        tuple(each.sha256 for each in opened.segments),
        tuple(ms),
        float(decision_ms),
        about,
    )


def write(path: str | os.PathLike, table: CostTable) -> None:
    """Writes a table as JSON."""
    rows = zip(table.files, table.hashes, table.ms, strict=True)
    publishing.write_json(
        path,
        {
            "format_version": _VERSION,
            "about": table.about,
            "decision_ms": table.decision_ms,
            "segments": [
                dict(zip(_SEGMENT_KEYS, row, strict=True)) for row in rows
            ],
        },
    )


def read(path: str | os.PathLike) -> CostTable:
    """Reads a table.

    Raises:
        ValueError: If the file is not there or not such a table.
    """
    found = json_file.read(pathlib.Path(path))

    def require(holds: bool, rule: str, received: object) -> None:
        if not holds:
            raise ValueError(
                f"{path} must be a cost table: {rule}. "
                f"Received: {str(received)[:80]}"
            )

    keys = sorted(found)
    require(keys == sorted(_KEYS), f"its keys are {', '.join(_KEYS)}", keys)
    version = found["format_version"]
    require(
        type(version) is int and version == _VERSION,
        f"`format_version` is {_VERSION}",
        version,
    )
    require(
        _is_time(found["decision_ms"]),
        "`decision_ms` is a finite number, not negative",
        found["decision_ms"],
    )
    require(type(found["about"]) is str, "`about` is a text", found["about"])
    rows = found["segments"]
    require(
        type(rows) is list and bool(rows), "`segments` is a list of some", rows
    )
    for row in rows:
        require(
            type(row) is dict
            and sorted(row) == sorted(_SEGMENT_KEYS)
            and type(row["file"]) is str
            and type(row["sha256"]) is str
            and (row["ms"] is None or _is_time(row["ms"])),
            "a segment has `file`, `sha256` and `ms`, null or a finite number "
            "that is not negative",
            row,
        )
    return CostTable(
        tuple(row["file"] for row in rows),
        tuple(row["sha256"] for row in rows),
        tuple(row["ms"] for row in rows),
        float(found["decision_ms"]),
        found["about"],
    )


def _is_time(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0
