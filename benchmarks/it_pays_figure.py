"""Draws the table of `it_pays.py`: int8 accuracy against mean milliseconds.

    python benchmarks/it_pays_figure.py TABLE.csv OUTPUT.svg

Stars are routed chains, circles the same networks cut back to one exit, and
squares static networks, a line for each family.
"""

import argparse
import csv
import pathlib

from pipeline.experiments.series import Series
from pipeline.figures import chart

_COLORS = ("#2f7de1", "#d9730d", "#129a74", "#b04fc4", "#c43c5a")
_MARKS = {"routed": "star", "cut": "circle", "static": "square"}
_DASHES = {"routed": (), "cut": (7, 4), "static": (3, 2)}


def main() -> None:
    """Reads the table and writes the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    arguments = parser.parse_args()
    with arguments.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    drawn = chart.svg({"milliseconds": lines(rows)})
    arguments.output.write_text(drawn)


def lines(rows: list[dict[str, str]]) -> list[Series]:
    """Gathers the rows of a line: of a network, or of a static family."""
    gathered: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        gathered.setdefault((_name(row), row["kind"]), []).append(row)
    networks = list(dict.fromkeys(name for name, _ in gathered))
    return [
        _line(name, kind, members, _COLORS[networks.index(name) % len(_COLORS)])
        for (name, kind), members in gathered.items()
    ]


def _name(row):
    if row["kind"] == "static":
        return f"{row['family']} with one exit"
    return row["configuration"]


def _line(name, kind, rows, color):
    rows = sorted(rows, key=lambda row: float(row["milliseconds"]))
    said = {"routed": ", routed", "cut": ", cut back to an exit", "static": ""}
    return Series(
        name=name + said[kind],
        color=color,
        dash=_DASHES[kind],
        mark=_MARKS[kind],
        costs=tuple(float(row["milliseconds"]) for row in rows),
        accuracies=tuple(float(row["accuracy"]) for row in rows),
        lowest=(),
        highest=(),
        texts=(),
    )


if __name__ == "__main__":
    main()
