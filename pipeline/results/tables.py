"""Writes the numbers of metrics.json as CSV, for people's own figures."""

import csv
import pathlib
from collections.abc import Sequence
from typing import Any

from pipeline.storage import publishing

CURVES = (
    "kind",
    "curve",
    "point",
    "target",
    "madds",
    "accuracy",
    "calibration_madds",
    "calibration_accuracy",
)
EXITS = (
    "kind",
    "exit",
    "madds",
    "madds_paper",
    "params",
    "accuracy",
    "calibration_accuracy",
    "auroc",
    "aurc",
    "excess_aurc",
    "temperature",
    "temperature_status",
    "nll_before",
    "nll_after",
)


def publish(
    exits_table: pathlib.Path, curves_table: pathlib.Path, metrics: dict
) -> None:
    """Writes both tables of a working directory.

    Args:
        exits_table: Path of the table of exits.
        curves_table: Path of the table of curves.
        metrics: The content of metrics.json.
    """
    write(exits_table, EXITS, exits(metrics))
    write(curves_table, CURVES, curves(metrics))


def curves(metrics: dict) -> list[dict[str, Any]]:
    """Returns a row per point of each curve, of the columns `CURVES`.

    Args:
        metrics: The content of metrics.json. What it lacks, a row lacks.
    """
    return [
        {"kind": kind, "curve": name, "point": i, **point}
        for kind, found in metrics.get("curves", {}).items()
        for name, curve in found.items()
        for i, point in enumerate(curve["points"])
    ]


def exits(metrics: dict) -> list[dict[str, Any]]:
    """Returns a row per kind of the model and exit, of the columns `EXITS`.

    Args:
        metrics: The content of metrics.json. What it lacks, a row lacks.
    """
    kinds = dict.fromkeys(
        kind for row in metrics["exits"] for kind in row["accuracy"]
    )
    return [
        {"kind": kind} | {name: _of_kind(row, name, kind) for name in EXITS[1:]}
        for kind in kinds
        for row in metrics["exits"]
    ]


def _of_kind(row: dict, name: str, kind: str) -> Any:
    """Returns a value of an exit, or of one kind of the model there."""
    value = row.get(name)
    return value.get(kind) if isinstance(value, dict) else value


def write(
    path: pathlib.Path, columns: Sequence[str], rows: Sequence[dict[str, Any]]
) -> None:
    """Writes a CSV file with a header, atomically.

    Args:
        path: Path of the file to write.
        columns: The header.
        rows: Values by column; one that is None or absent stays empty.

    Raises:
        ValueError: A row has a value for a column that is not there.
    """
    with (
        publishing.published(path) as stage,
        open(stage, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
