"""Draws accuracy against cost: of policies, exits and other models."""

import dataclasses
import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from pipeline.figures import figure, page
from pipeline.figures.figure import Figure
from pipeline.results import call_times, metrics_file, wilson
from pipeline.results.side_by_side import SideBySide

# The page finds the trace that its sliders move by this name.
SETTING = "the sliders’ policy"

_BUNDLE, _ALONE = "#e0365f", "#129a74"
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
    metrics: Mapping[str, Any],
    others: Sequence[Other] = (),
    beside: SideBySide | None = None,
) -> Figure | None:
    """Draws accuracy in percent against mean milliseconds of a whole call.

    Args:
        metrics: The content of metrics.json.
        others: Working directories to draw beside it.
        beside: Times of one run, with that of a single exit alone.

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
        alone=_alone(beside),
    )
    return drawn if any(trace["x"] for trace in drawn["data"]) else None


def exit_madds(metrics: Mapping[str, Any]) -> list[float]:
    """Returns the mean multiply-adds of an image up to each exit, [K].

    Only those that ran count, if gates left something out and that was counted.
    """
    return [metrics_file.mean_madds(each, "int8") for each in metrics["exits"]]


def _alone(beside):
    """Returns the name of a single exit's model, and its point."""
    if not beside or beside.alone is None:
        return None
    name = f"exit {beside.exit.exit} alone, cut out"
    return name, (beside.alone, beside.exit.accuracy, name)


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
    exits = call_times.up_to_exits(metrics)
    return _Costs(
        exits=exits or [None] * len(metrics["exits"]),
        routed=call_times.of_policies(metrics),
        unsplit=(metrics.get("unsplit_latency_ms") or {}).get("mean"),
    )


def _draw(metrics, others, costs_of, *, axis, hover, alone=None) -> Figure:
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
    marks = [
        ("unsplit model", unsplit, "diamond-open", figure.GREY),
        ("the bundle’s policy", bundle, "star", _BUNDLE),
    ]
    if alone:
        marks.insert(1, (alone[0], [alone[1]], "square-open", _ALONE))
    traces += [
        _mark(name, points, hover, symbol, 15, color)
        for name, points, symbol, color in marks
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
    images = metrics["dataset"].get("test")

    def point(cost, accuracy, text):
        return cost, accuracy, text + _chance(accuracy, images)

    exits = [
        point(cost, accuracy, f"every image to exit {k}")
        for k, (cost, accuracy) in enumerate(
            zip(costs.exits, accuracies, strict=True)
        )
    ]
    sweeps, bundle = {}, []
    for cost, each in zip(costs.routed, metrics["routed"], strict=True):
        found = point(cost, each["accuracy"], _policy_text(each))
        if each.get("bundle"):
            bundle.append(found)
        else:
            sweeps.setdefault(each["policy"], []).append(found)
    unsplit = point(costs.unsplit, accuracies[-1], "unsplit model")
    return exits, sweeps, bundle, [unsplit]


def _chance(accuracy, images):
    """Says between what the accuracy on so many images may be."""
    if not images:
        return ""
    low, high = wilson.interval(accuracy, images)
    return f"<br>{100 * low:.1f} to {100 * high:.1f} % (95 %, {images} images)"


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
        f"the bundle’s policy, {other.name}",
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
        shown = page.target(routed["target"])
        text += f", target {html.escape(shown, quote=False)}"
    parameters = routed.get("parameters")
    if parameters:
        bars = ", ".join(
            page.threshold(threshold) if enabled else "unused"
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
