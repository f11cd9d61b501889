"""Draws accuracy against cost: of policies, exits and other models."""

import dataclasses
import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from pipeline.figures import figure
from pipeline.figures.figure import Figure
from pipeline.results import metrics_file

# The page finds the trace that its sliders move by this name.
SETTING = "the sliders’ policy"

_BUNDLE = "#e0365f"
# Of other working directories; the first colours are this one's.
_OTHERS = ("#1c9dc1", "#8a7f12", "#c43c5a", "#7a5c3e", "#6f5bd6")


@dataclasses.dataclass(frozen=True)
class Other:
    """Describes another working directory, to draw beside this one.

    Attributes:
        name: Name in the legend.
        metrics: The content of its metrics.json.
    """

    name: str
    metrics: Mapping[str, Any]


def against_madds(
    metrics: Mapping[str, Any], others: Sequence[Other] = ()
) -> Figure:
    """Draws accuracy in percent against mean multiply-adds per image.

    Args:
        metrics: The content of metrics.json.
        others: Working directories to draw beside it.
    """
    return _draw(
        metrics,
        others,
        _madds,
        axis={"title_text": "mean multiply-adds per image", "tickformat": "~s"},
        hover="%{x:.4s} multiply-adds",
    )


def against_latency(
    metrics: Mapping[str, Any], others: Sequence[Other] = ()
) -> Figure | None:
    """Draws accuracy in percent against mean milliseconds per image.

    Args:
        metrics: The content of metrics.json.
        others: Working directories to draw beside it.

    Returns:
        The figure without the points that were not measured; None if that is
        all of them.
    """
    drawn = _draw(
        metrics,
        others,
        _milliseconds,
        axis={"title_text": "mean milliseconds per image"},
        hover="%{x:.4f} ms",
    )
    return drawn if any(trace["x"] for trace in drawn["data"]) else None


def exit_madds(metrics: Mapping[str, Any]) -> list[float]:
    """Returns the mean multiply-adds of an image up to each exit, [K].

    Only those that ran count, if gates left something out and that was counted.
    """
    return [metrics_file.mean_madds(each, "int8") for each in metrics["exits"]]


def exit_milliseconds(metrics: Mapping[str, Any]) -> list[float] | None:
    """Returns the mean milliseconds up to each exit, [K]; None if unknown."""
    found = [_mean(each, "latency_ms") for each in metrics["exits"]]
    return None if None in found else found


@dataclasses.dataclass(frozen=True)
class _Costs:
    exits: Sequence[float | None]
    routed: Sequence[float | None]
    unsplit: float | None


def _madds(metrics):
    return _Costs(
        exits=exit_madds(metrics),
        routed=[each["mean_madds"] for each in metrics["routed"]],
        unsplit=metrics["exits"][-1]["madds"],
    )


def _milliseconds(metrics):
    return _Costs(
        exits=[_mean(each, "latency_ms") for each in metrics["exits"]],
        routed=[each["mean_latency_ms"] for each in metrics["routed"]],
        unsplit=_mean(metrics, "unsplit_latency_ms"),
    )


def _mean(measured, key):
    return (measured.get(key) or {}).get("mean")


def _draw(metrics, others, costs_of, *, axis, hover) -> Figure:
    """Draws the others, then the exits, the policies and the unsplit model."""
    traces = []
    for number, other in enumerate(others):
        color = _OTHERS[number % len(_OTHERS)]
        traces += _other(other, costs_of(other.metrics), hover, color)
    costs = costs_of(metrics)
    exits, sweeps, bundle, unsplit = _points(metrics, costs)
    if len(exits) > 1:
        sweeps = {"each exit alone": exits, **sweeps}
    traces += [
        _line(name, points, hover, figure.SERIES[i % len(figure.SERIES)])
        for i, (name, points) in enumerate(sweeps.items())
    ]
    traces += [
        _mark("unsplit model", unsplit, hover, "diamond-open", 15, figure.GREY),
        _mark("the bundle's policy", bundle, hover, "star", 15, _BUNDLE),
    ]
    traces = [trace for trace in traces if trace.x]
    if len(exits) > 1:
        # Empty, until the page says where it is.
        traces.append(
            _mark(SETTING, [], hover, "circle-open", 20, _BUNDLE).update(
                marker_line_width=3
            )
        )
    return figure.build(
        traces,
        xaxis={**axis, "rangemode": "tozero"},
        yaxis={"title_text": "test accuracy", "ticksuffix": " %"},
    )


def _points(metrics, costs):
    """Returns (cost, accuracy, text) of exits, sweeps, bundle and unsplit."""
    accuracies = [each["accuracy"]["int8"] for each in metrics["exits"]]
    exits = [
        (cost, accuracy, f"every image to exit {k}")
        for k, (cost, accuracy) in enumerate(
            zip(costs.exits, accuracies, strict=True)
        )
    ]
    sweeps, bundle = {}, []
    for cost, each in zip(costs.routed, metrics["routed"], strict=True):
        point = (cost, each["accuracy"], _policy_text(each))
        if each.get("bundle"):
            bundle.append(point)
        else:
            sweeps.setdefault(each["policy"], []).append(point)
    return (
        exits,
        sweeps,
        bundle,
        [(costs.unsplit, accuracies[-1], "unsplit model")],
    )


def _other(other, costs, hover, color) -> list[go.Scatter]:
    """Draws a static model as a square, others as a curve and a star."""
    exits, sweeps, bundle, _ = _points(other.metrics, costs)
    name = html.escape(other.name, quote=False)

    def named(points):
        return [(x, y, f"{name}: {text}") for x, y, text in points]

    if len(exits) == 1:
        points = [(*exits[0][:2], f"{name}: static model")]
        return [
            _mark(f"static: {other.name}", points, hover, "square", 11, color)
        ]
    curve = next(iter(sweeps.values()), exits)
    line = _line(other.name, named(curve), hover, color).update(
        line_dash="dot", marker_size=5, legendgroup=other.name
    )
    star = _mark(
        f"the bundle's policy, {other.name}",
        named(bundle),
        hover,
        "star-open",
        13,
        color,
    )
    return [line, star.update(legendgroup=other.name, showlegend=False)]


def _policy_text(routed):
    """Describes a policy, escaped: Plotly would take tags as markup."""
    text = html.escape(routed["policy"], quote=False)
    if routed["target"] is not None:
        target = routed["target"]
        shown = f"{target:.6g}" if isinstance(target, float) else str(target)
        text += f", target {html.escape(shown, quote=False)}"
    parameters = routed.get("parameters")
    if parameters:
        bars = ", ".join(
            f"{threshold:.5g}" if enabled else "unused"
            for threshold, enabled in zip(
                parameters["thresholds"][:-1],
                parameters["enabled"][:-1],
                strict=True,
            )
        )
        text += bars and f"<br>thresholds {bars}"
    return text


def _line(name, points, hover, color):
    scatter = _scatter(name, points, hover)
    marker = {"size": 7, "color": color}
    return scatter.update(mode="lines+markers", marker=marker, line_color=color)


def _mark(name, points, hover, symbol, size, color):
    scatter = _scatter(name, points, hover)
    marker = {"symbol": symbol, "size": size, "color": color}
    # A marker on the last exit must not hide the line below it.
    marker["line"] = {"width": 2, "color": color}
    return scatter.update(mode="markers", marker=marker)


def _scatter(name, points, hover):
    """Makes a series of (cost, accuracy, text); None costs are left out."""
    points = sorted(point for point in points if point[0] is not None)
    return go.Scatter(
        name=html.escape(name, quote=False),
        x=[cost for cost, _, _ in points],
        y=[100 * accuracy for _, accuracy, _ in points],
        hovertext=[text for _, _, text in points],
        hovertemplate=f"%{{hovertext}}<br>%{{y:.2f}} % at {hover}"
        "<extra></extra>",
    )
