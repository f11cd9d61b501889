"""Makes rows of a benchmark's times, ratios between them, and a table to read.

Rows are those of benchmark.csv and of benchmark.json; docs/benchmark.md says
what their columns mean.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.benchmarking.entrants import Entrant
from tflite.timing import latency
from tflite.timing.cold_start import Start
from tflite.timing.latency import Times

_KINDS = ("call", "kernel", "harness")
_FIGURES = ("mean", "p50", "p90", "p99")
_TIMES = tuple(f"{kind}_{figure}_ms" for kind in _KINDS for figure in _FIGURES)
_STARTS = tuple(each.name for each in dataclasses.fields(Start))
COLUMNS = (
    "contestant",
    "threads",
    "segment",
    "about",
    "accuracy",
    *_TIMES,
    *_STARTS,
)

# A ratio, the column, and whose value is divided by whose.
_RATIOS = (
    ("chain / unsplit, p50", "call_p50_ms", "chain", "unsplit"),
    ("routed / unsplit, mean", "call_mean_ms", "routed", "unsplit"),
    ("routed / static, mean", "call_mean_ms", "routed", "static"),
    ("routed / float, mean", "call_mean_ms", "routed", "float"),
    ("routed / onnx, mean", "call_mean_ms", "routed", "onnx"),
    ("chain / unsplit, peak memory", "peak_mib", "chain", "unsplit"),
)


def of(
    entrant: Entrant,
    threads: int,
    times: Times,
    start: Start,
    segments: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Returns the row of a contestant, and one per segment if it has some.

    Args:
        entrant: The contestant.
        threads: Number of threads that it ran with.
        times: Its times, from `latency.measure`.
        start: Its start, from `cold_start.measure`.
        segments: Names of the models that it ran one after the other.
    """
    key = {"contestant": entrant.name, "threads": threads}
    whole = {
        **key,
        "segment": None,
        "about": entrant.about,
        "accuracy": entrant.accuracy,
        **_times(times.call, times.kernel),
        **dataclasses.asdict(start),
    }
    return [
        whole,
        *(
            {
                **key,
                "segment": name,
                **_times(times.segments[:, i], times.segment_kernels[:, i]),
            }
            for i, name in enumerate(segments)
        ),
    ]


def _times(call, kernel) -> dict[str, float]:
    found = {"call": call, "kernel": kernel, "harness": call - kernel}
    return {
        f"{kind}_{figure}_ms": value
        for kind in _KINDS
        for figure, value in latency.summary(found[kind]).items()
    }


def ratios(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the ratios that count, by number of threads.

    Returns:
        For each number of "threads" the ratios by name, None if one of the two
        was not measured, and the median microseconds that the chain spends
        outside of kernels, divided by the number of its segments.
    """
    found = []
    for threads in dict.fromkeys(row["threads"] for row in rows):
        mine = [row for row in rows if row["threads"] == threads]
        whole = {
            row["contestant"]: row for row in mine if row["segment"] is None
        }
        segments = len(mine) - len(whole)
        found.append(
            {
                "threads": threads,
                **{
                    name: _ratio(whole.get(one), whole.get(other), column)
                    for name, column, one, other in _RATIOS
                },
                "chain, harness per segment, us": 1e3
                * whole["chain"]["harness_p50_ms"]
                / segments,
            }
        )
    return found


def _ratio(one, other, column) -> float | None:
    return one[column] / other[column] if one and other else None


def text(found: Mapping[str, Any]) -> str:
    """Formats benchmark.json for a terminal."""
    lines = [
        f"load average before: {found['load_average']:.1f}, "
        f"{found['measured']['cores']} cores",
    ]
    for each in found["ratios"]:
        threads = each["threads"]
        lines += [
            "",
            f"{threads} thread{'s' * (threads > 1)}, milliseconds",
            f"{'':14}    mean     p50     p90     p99  kernel harness"
            "    load   first    MiB  test %",
        ]
        lines += [
            _line(row) for row in found["rows"] if row["threads"] == threads
        ]
        lines += [
            f"  {name:30}  "
            + ("not measured" if value is None else f"{value:.3f}")
            for name, value in each.items()
            if name != "threads"
        ]
    lines.append("")
    lines += [
        f"not measured: {each['name']}: {each['reason']}"
        for each in found["absent"]
    ]
    lines.append("kernel: mean inside the runtime; harness: mean outside of it")
    return "\n".join(lines)


def _line(row) -> str:
    columns = ("call_mean_ms", "call_p50_ms", "call_p90_ms", "call_p99_ms")
    columns += ("kernel_mean_ms", "harness_mean_ms")
    name = f"  {row['segment']}" if row["segment"] else row["contestant"]
    line = f"{name:14}" + "".join(f"{row[each]:8.3f}" for each in columns)
    if row["segment"]:
        return line
    return (
        f"{line}{row['load_ms']:8.2f}{row['first_ms']:8.2f}"
        f"{row['peak_mib']:7.1f}{100 * row['accuracy']:8.2f}"
    )
