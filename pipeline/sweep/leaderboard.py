"""Ranks the jobs of a sweep by accuracy within a budget.

A job offers several ways to classify: to stop at one of its exits, always,
or to route images by one of the policies that were tried. Of those whose mean
multiply-adds are within the budget its most accurate counts. All accuracies
are on the test split, on which the way is chosen, too: with many policies
that flatters a job by a little, and all jobs alike.
"""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.results import metrics_file


@dataclasses.dataclass(frozen=True)
class Way:
    """Describes one way to classify with a trained model.

    Attributes:
        name: Name such as "exit 2" or "accuracy_drop 0.005".
        accuracy: Accuracy on the test split, in [0, 1].
        madds: Mean multiply-adds of an image.
    """

    name: str
    accuracy: float
    madds: float


@dataclasses.dataclass(frozen=True)
class Row:
    """Holds one line of the table: a group of jobs that differ in their seed.

    Attributes:
        group: Name of the configuration and overrides that the jobs share.
        seeds: Number of jobs that have a way within the budget.
        accuracy: Mean accuracy of these jobs.
        deviation: Sample standard deviation of the accuracy; None with one
            seed.
        madds: Mean multiply-adds of these jobs.
        ways: Names of the ways that they take, each once.
    """

    group: str
    seeds: int
    accuracy: float
    deviation: float | None
    madds: float
    ways: tuple[str, ...]


def ways(metrics: Mapping[str, Any]) -> list[Way]:
    """Returns all ways whose accuracy and cost a metrics.json holds.

    An exit counts with its int8 accuracy where that is known.
    """
    found = []
    for row in metrics["exits"]:
        kind = "int8" if "int8" in row["accuracy"] else "float"
        name = f"exit {row['exit']}, {kind}"
        cost = metrics_file.mean_madds(row, kind)
        found.append(Way(name, row["accuracy"][kind], cost))
    for row in metrics.get("routed", ()):
        name = f"{row['policy']} {row['target']:g}, int8"
        found.append(Way(name, row["accuracy"], row["mean_madds"]))
    return found


def best(metrics: Mapping[str, Any], budget: float) -> Way | None:
    """Returns the most accurate way within a budget, or None.

    Of equally accurate ways it is the cheapest.
    """
    within = [way for way in ways(metrics) if way.madds <= budget]
    if not within:
        return None
    return max(within, key=lambda way: (way.accuracy, -way.madds))


def table(
    results: Iterable[tuple[str, Mapping[str, Any]]], budget: float = math.inf
) -> list[Row]:
    """Compares groups of jobs.

    Args:
        results: Pairs of a job's group and its metrics.
        budget: Largest mean multiply-adds of an image.

    Returns:
        A row per group that has a way within the budget, the best first.
    """
    groups: dict[str, list[Way]] = {}
    for group, metrics in results:
        if way := best(metrics, budget):
            groups.setdefault(group, []).append(way)
    rows = [_row(group, chosen) for group, chosen in groups.items()]
    return sorted(rows, key=lambda row: (-row.accuracy, row.madds, row.group))


def text(rows: Sequence[Row], budget: float = math.inf) -> str:
    """Formats a table for people."""
    if math.isinf(budget):
        title = "best at any cost"
    else:
        title = f"best within {budget / 1e6:g} M multiply-adds"
    if not rows:
        return f"{title}: none"
    lines = [f"{title}:", "  accuracy %       multiply-adds  seeds  job"]
    for row in rows:
        deviation = ""
        if row.deviation is not None:
            deviation = f"± {100 * row.deviation:.2f}"
        lines.append(
            f"  {100 * row.accuracy:6.2f} {deviation:7}"
            f"  {row.madds / 1e6:12.3f} M  {row.seeds:5}"
            f"  {row.group} ({'; '.join(row.ways)})"
        )
    return "\n".join(lines)


def _row(group: str, chosen: Sequence[Way]) -> Row:
    accuracies = [way.accuracy for way in chosen]
    several = len(chosen) > 1
    return Row(
        group=group,
        seeds=len(chosen),
        accuracy=statistics.fmean(accuracies),
        deviation=statistics.stdev(accuracies) if several else None,
        madds=statistics.fmean(way.madds for way in chosen),
        ways=tuple(sorted({way.name for way in chosen})),
    )
