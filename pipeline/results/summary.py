"""Formats the table that a run ends with."""

from collections.abc import Mapping
from typing import Any

from pipeline.results import call_times, side_by_side, wilson
from pipeline.results.side_by_side import SideBySide

_NOT_MEASURED = "not measured"


def text(
    metrics: Mapping[str, Any], benchmark: Mapping[str, Any] | None = None
) -> str:
    """Formats metrics.json as a table of the exits and a few lines below.

    All milliseconds are means of whole calls, of one run of the benchmark.

    Args:
        metrics: The content of metrics.json.
        benchmark: The content of benchmark.json; None if there is none.

    Raises:
        ValueError: If no policy is that of the bundle.
    """
    rows = [row for row in metrics["routed"] if row.get("bundle")]
    if not rows:
        raise ValueError(
            "`routed` of metrics.json must have a row with `bundle` true; run "
            f"`keras-dynamic convert` again. Received: {len(rows)}"
        )
    [shipped] = rows
    last = metrics["exits"][-1]
    times = call_times.up_to_exits(metrics) or [None] * len(metrics["exits"])
    lines = [
        "exit  multiply-adds   params  float %   QAT %  int8 %  mean ms"
        "  leave %"
    ]
    lines += [
        _exit(*each)
        for each in zip(
            metrics["exits"], times, shipped["exit_shares"], strict=False
        )
    ]
    lines.append("")
    if len(metrics["exits"]) > 1:
        lines += [
            f"policy      {shipped['policy']} {_target(shipped['target'])}: "
            f"{100 * shipped['accuracy']:.2f} %{_interval(metrics, shipped)}",
            f"            with {shipped['mean_madds'] / 1e6:.3f} M "
            "multiply-adds on average, "
            f"{shipped['mean_madds'] / last['madds']:.2f} of the last exit's",
        ]
    lines += [
        f"chain       {_chain(metrics.get('chain', {}))}",
        f"unsplit     {_milliseconds(metrics.get('unsplit_latency_ms'))}",
        f"routed      {_milliseconds(metrics.get('routed_latency_ms'))}",
    ]
    if beside := side_by_side.of(metrics, benchmark):
        lines[-1] += f", {beside.routed / beside.unsplit:.2f} of unsplit's mean"
        lines += _alone(beside)
    return "\n".join(lines)


def _exit(row: dict, time: float | None, share: float) -> str:
    accuracy = row["accuracy"]
    return (
        f"{row['exit']:4}  {row['madds'] / 1e6:11.3f} M"
        f"  {row['params'] / 1e3:5.0f} k"
        f"  {_percent(accuracy, 'float'):>7}  {_percent(accuracy, 'qat'):>6}"
        f"  {_percent(accuracy, 'int8'):>6}"
        f"  {'      -' if time is None else format(time, '7.3f')}"
        f"  {100 * share:7.1f}"
    )


def _target(target: float | str | None) -> str:
    return f"{target:g}" if isinstance(target, int | float) else str(target)


def _percent(accuracy: Mapping[str, float], kind: str) -> str:
    share = accuracy.get(kind)
    return "-" if share is None else f"{100 * share:.2f}"


def _interval(metrics: Mapping[str, Any], shipped: Mapping[str, Any]) -> str:
    """Tells what so many images say of an accuracy."""
    images = metrics["dataset"].get("test")
    if not images:
        return ""
    low, high = wilson.interval(shipped["accuracy"], images)
    return f" of {images} images, {100 * low:.1f} to {100 * high:.1f} at 95 %"


def _alone(beside: SideBySide) -> list[str]:
    """Compares the policy with a single exit, the best that does as well."""
    if beside.alone is None:
        return []
    less = "" if beside.exit.enough else ", less accurate"
    return [
        f"static      exit {beside.exit.exit} alone"
        f" ({100 * beside.exit.accuracy:.2f} %{less}): mean "
        f"{beside.alone:.3f} ms; routed takes "
        f"{beside.routed / beside.alone:.2f} of that"
    ]


def _chain(chain: dict) -> str:
    parts = []
    if "mismatches" in chain:
        parts.append(
            f"{chain['mismatches']} logits differ from the unsplit model on "
            f"{chain.get('samples', 'some')} images"
        )
    if "overhead" in chain:
        parts.append(f"at full depth {chain['overhead']:.3f} times its p50")
    return "; ".join(parts) or _NOT_MEASURED


def _milliseconds(latency: dict | None) -> str:
    if not latency:
        return _NOT_MEASURED
    return (
        f"mean {latency['mean']:.3f} ms, p50 {latency['p50']:.3f} ms, "
        f"p99 {latency['p99']:.3f} ms"
    )
