"""Holds the mean times of a network with exits and what could ship instead.

All of them are whole calls, from pixels to the answer, of one run of the
benchmark: in each of its rounds every contestant had the same image.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pipeline.results import identity, static_exit
from pipeline.results.layout import Layout
from pipeline.results.static_exit import StaticExit


@dataclasses.dataclass(frozen=True)
class SideBySide:
    """Holds mean milliseconds of one image.

    Attributes:
        routed: Of the segments under the bundle's policy.
        unsplit: Of the int8 model before it was cut, every exit.
        alone: Of the int8 model cut back to one exit; None if it was not
            measured, or the network has a single exit.
        exit: That exit; None where `alone` is.
    """

    routed: float
    unsplit: float
    alone: float | None
    exit: StaticExit | None


def read_benchmark(
    layout: Layout, now: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """Reads benchmark.json, if there is one and it is of this very model.

    Args:
        layout: Paths of the results.
        now: Hashes from `identity.facts`; None to take them here.
    """
    now = identity.facts(layout) if now is None else now
    return identity.of_this_model(layout.benchmark_json, now)


def of(
    metrics: Mapping[str, Any], benchmark: Mapping[str, Any] | None
) -> SideBySide | None:
    """Picks the times with the first number of threads.

    Args:
        metrics: The content of metrics.json, with policies.
        benchmark: The content of benchmark.json; None if there is none.

    Returns:
        None if the policy or the unsplit model was not timed.
    """
    shipped = next((r for r in metrics["routed"] if r.get("bundle")), None)
    if not benchmark or not shipped:
        return None
    threads = benchmark["rows"][0]["threads"]
    means = {
        row["contestant"]: row["call_mean_ms"]
        for row in benchmark["rows"]
        if row["threads"] == threads and not row["segment"]
    }
    if not {"routed", "unsplit"} <= means.keys():
        return None
    alone = means.get("static")
    int8 = [row["accuracy"]["int8"] for row in metrics["exits"]]
    return SideBySide(
        routed=means["routed"],
        unsplit=means["unsplit"],
        alone=alone,
        exit=None
        if alone is None
        else static_exit.choose(int8, shipped["accuracy"]),
    )
