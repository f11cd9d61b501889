"""Draws the figures of curves, classes, quantization and latency."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from pipeline.data import tally
from pipeline.experiments import series
from pipeline.figures import figure, page, ticks
from pipeline.figures.figure import Figure


def curves(panels: series.Panels) -> dict[str, Figure]:
    """Draws accuracy in percent against the logarithm of the cost.

    No figure has a legend, because all panels share one: see `series.legend`.

    Args:
        panels: The lines of each panel, by curve.

    Returns:
        Figures, by curve; those without a line are left out.
    """
    return {
        curve: _panel(curve, lines) for curve, lines in panels.items() if lines
    }


def class_balance(
    statistics: Mapping[str, Any], labels: Sequence[str]
) -> Figure:
    """Draws the share of every class in each split, in percent.

    Args:
        statistics: Statistics of the manifest: a description per split.
        labels: Class names.
    """
    names = [html.escape(label, quote=False) for label in labels]
    traces = []
    for split, found in statistics.items():
        total = sum(found["classes"])
        traces.append(
            go.Bar(
                name=split,
                x=names,
                y=[100 * images / total for images in found["classes"]],
                customdata=found["classes"],
                hovertemplate="%{x}: %{y:.2f} %, %{customdata:,} images",
            )
        )
    return figure.build(
        traces,
        xaxis={"type": "category", "showgrid": False},
        yaxis={"title_text": "share of the split", "ticksuffix": " %"},
    )


def image_sides(statistics: Mapping[str, Any]) -> Figure:
    """Draws how many images came in which size, by their shorter side.

    Args:
        statistics: Statistics of the manifest: a description per split.
    """
    used = [
        i
        for i in range(len(tally.SIDES))
        if any(found["sides"][i] for found in statistics.values())
    ]
    bins = range(used[0], used[-1] + 1)
    ends = [*(str(side - 1) for side in tally.SIDES[1:]), "and more"]
    names = [f"{tally.SIDES[i]} to {ends[i]}" for i in bins]
    names = [name.replace("to and", "and") for name in names]
    traces = [
        go.Bar(
            name=split,
            x=names,
            y=[found["sides"][i] for i in bins],
            hovertemplate="%{x} pixels: %{y:,} images",
        )
        for split, found in statistics.items()
    ]
    return figure.build(
        traces,
        xaxis={
            "type": "category",
            "showgrid": False,
            "title_text": "shorter side, pixels",
        },
        yaxis={"title_text": "images"},
    )


def quantization(metrics: Mapping[str, Any]) -> Figure:
    """Draws the accuracy of every exit: float, with QAT and int8, in percent.

    Args:
        metrics: The content of metrics.json.
    """
    names = [f"exit {each['exit']}" for each in metrics["exits"]]
    traces = []
    for kind, title, symbol, size in (
        ("float", "float", "circle-open", 18),
        ("qat", "QAT", "diamond-open", 11),
        ("int8", "int8", "line-ew-open", 26),
    ):
        found = [each["accuracy"].get(kind) for each in metrics["exits"]]
        if None in found:
            continue
        traces.append(
            go.Scatter(
                name=title,
                x=names,
                y=[100 * accuracy for accuracy in found],
                mode="markers",
                marker={"symbol": symbol, "size": size, "line": {"width": 3}},
                hovertemplate=f"%{{x}}, {title}: %{{y:.2f}} %<extra></extra>",
            )
        )
    return figure.build(
        traces,
        xaxis={"type": "category", "showgrid": False},
        yaxis={"title_text": "test accuracy", "ticksuffix": " %"},
    )


def latency(rows: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draws the spread of milliseconds: median, mean, 90 and 99 in 100 runs.

    Args:
        rows: Names to {mean, p50, p90, p99}, from top to bottom.
    """
    names = [html.escape(name, quote=False) for name in rows]
    span_x, span_y = [], []
    for name, found in zip(names, rows.values(), strict=True):
        span_x += [found["p50"], found["p99"], None]
        span_y += [name, name, None]
    traces = [
        go.Scatter(
            x=span_x,
            y=span_y,
            mode="lines",
            line={"color": figure.GREY, "width": 2},
            hoverinfo="skip",
            showlegend=False,
        )
    ]
    for key, title, symbol in (
        ("p50", "median", "circle"),
        ("mean", "mean", "x-thin-open"),
        ("p90", "90 of 100 runs", "line-ns-open"),
        ("p99", "99 of 100 runs", "circle-open"),
    ):
        traces.append(
            go.Scatter(
                name=title,
                x=[found[key] for found in rows.values()],
                y=names,
                mode="markers",
                marker={"symbol": symbol, "size": 9, "line": {"width": 2}},
                hovertemplate=f"%{{y}}, {title}: %{{x:.4f}} ms<extra></extra>",
            )
        )
    drawn = figure.build(
        traces,
        # Where gates skip a segment, its median may be 0.
        xaxis={
            "title_text": "milliseconds",
            "type": "log"
            if all(found["p50"] for found in rows.values())
            else "linear",
            "minor": {"ticks": "outside", "showgrid": True},
        },
        yaxis={"type": "category", "autorange": "reversed"},
    )
    # It may be tall, and a legend below far away.
    drawn["layout"]["legend"] |= {"y": 1, "yanchor": "bottom"}
    return drawn


def _panel(curve: str, lines: Sequence[series.Series]) -> Figure:
    costs = [cost for each in lines for cost in each.costs]
    low, high = min(costs) / 1.15, max(costs) * 1.15
    at = ticks.logarithmic(low, high)
    traces = [_band(each) for each in lines if each.lowest]
    unit = "ms" if curve == "milliseconds" else "multiply-adds"
    traces += [_curve(each, unit) for each in lines]
    return figure.build(
        traces,
        xaxis={
            "type": "log",
            "title_text": series.AXES[curve],
            "range": [math.log10(low), math.log10(high)],
            "tickvals": at,
            "tickangle": 0,
            "ticktext": [page.quantity(tick) for tick in at],
        },
        yaxis={"title_text": "test accuracy", "ticksuffix": " %"},
        showlegend=False,
        margin_right=24,  # For half of the last tick's label.
    )


def _curve(line, unit):
    name = html.escape(line.name, quote=False)
    return go.Scatter(
        name=name,
        # What the boxes of the page's legend look for.
        legendgroup=line.name,
        x=line.costs,
        y=[100 * accuracy for accuracy in line.accuracies],
        mode="lines+markers" if line.mark else "lines",
        line={"color": line.color, "width": line.width, "dash": _dash(line)},
        marker={
            "symbol": line.mark or "circle",
            "size": 13 if line.mark == "star" else 7,
        },
        hovertext=[html.escape(text, quote=False) for text in line.texts],
        hovertemplate=f"{name}<br>%{{hovertext}}<br>%{{y:.2f}} % at "
        f"%{{x:.3s}} {unit}<extra></extra>",
    )


def _dash(line):
    return ",".join(f"{length}px" for length in line.dash) or "solid"


def _band(line):
    """Draws the area from the lowest to the highest of the seeds."""
    edge = [*line.highest, *reversed(line.lowest)]
    return go.Scatter(
        legendgroup=line.name,
        x=[*line.costs, *reversed(line.costs)],
        y=[100 * accuracy for accuracy in edge],
        mode="lines",
        line_width=0,
        fill="toself",
        fillcolor=line.color,
        opacity=0.2,
        hoverinfo="skip",
    )
