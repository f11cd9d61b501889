"""Reads how long the int8 model of a working directory takes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pipeline.results import call_times, side_by_side
from pipeline.results.layout import Layout
from pipeline.results.side_by_side import SideBySide


@dataclasses.dataclass(frozen=True)
class Timed:
    """Holds mean milliseconds of whole calls, of one run of the benchmark.

    Attributes:
        milliseconds: Of a call that stops at each exit, [K].
        accuracies: Accuracy of each exit of the int8 model, [K].
        accuracy: Accuracy of the bundle's policy.
        means: Times of that policy, and of what could ship instead.
        per_million: Milliseconds of the unsplit model by a million of its
            multiply-adds.
        processor: Name of the processor.
        load: Load average of the machine before the benchmark.
    """

    milliseconds: tuple[float, ...]
    accuracies: tuple[float, ...]
    accuracy: float
    means: SideBySide
    per_million: float
    processor: str
    load: float


def read(layout: Layout, metrics: Mapping[str, Any]) -> Timed | None:
    """Reads the times of a working directory.

    Args:
        layout: Its paths.
        metrics: The content of its metrics.json.

    Returns:
        None if its int8 model was not timed.
    """
    times = call_times.up_to_exits(metrics)
    benchmark = side_by_side.read_benchmark(layout) if times else None
    means = side_by_side.of(metrics, benchmark) if benchmark else None
    if means is None:
        return None
    shipped = next(row for row in metrics["routed"] if row["bundle"])
    return Timed(
        milliseconds=tuple(times),
        accuracies=tuple(row["accuracy"]["int8"] for row in metrics["exits"]),
        accuracy=shipped["accuracy"],
        means=means,
        per_million=1e6 * means.unsplit / metrics["exits"][-1]["madds"],
        processor=benchmark["measured"]["processor"],
        load=benchmark["load_average"],
    )
