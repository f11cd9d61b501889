"""The figures of the report, as JSON that plotly.js draws.

Colours of text and background are the page's business, so that they follow
its light or dark mode; those of the series are legible on both.
"""

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from pipeline import page, series, tally, ticks

Figure = dict[str, Any]

_SERIES = ("#2f7de1", "#d9730d", "#129a74", "#b04fc4", "#8a8f98")
_BUNDLE, _UNSPLIT = "#e0365f", "#8a8f98"
_GRID = "rgba(128, 128, 128, 0.3)"


def accuracy_against_madds(metrics: Mapping[str, Any]) -> Figure:
    """Draws accuracy in percent against mean multiply-adds per image.

    Args:
        metrics: The content of metrics.json.
    """
    exits = metrics["exits"]
    return _trade_off(
        metrics,
        exit_costs=[each["madds"] for each in exits],
        routed_costs=[each["mean_madds"] for each in metrics["routed"]],
        unsplit_cost=exits[-1]["madds"],
        axis={"title_text": "mean multiply-adds per image", "tickformat": "~s"},
        hover="%{x:.3s} multiply-adds",
    )


def accuracy_against_latency(metrics: Mapping[str, Any]) -> Figure | None:
    """Draws accuracy in percent against mean milliseconds per image.

    Args:
        metrics: The content of metrics.json.

    Returns:
        The figure without the points that were not measured; None if that is
        all of them.
    """
    figure = _trade_off(
        metrics,
        exit_costs=[_mean(each, "latency_ms") for each in metrics["exits"]],
        routed_costs=[each["mean_latency_ms"] for each in metrics["routed"]],
        unsplit_cost=_mean(metrics, "unsplit_latency_ms"),
        axis={"title_text": "mean milliseconds per image"},
        hover="%{x:.3f} ms",
    )
    return figure if figure["data"] else None


def curves(panels: series.Panels) -> dict[str, Figure]:
    """Draws accuracy in percent against the logarithm of multiply-adds.

    Without a legend, because all panels share one: see `series.legend`.

    Args:
        panels: The lines of each panel, by curve.

    Returns:
        Figures, by curve; those without a line are left out.
    """
    return {curve: _panel(lines) for curve, lines in panels.items() if lines}


def exit_shares(shares: Sequence[float]) -> Figure:
    """Draws the share of images that leave at each exit, in percent."""
    percent = [100 * share for share in shares]
    bars = go.Bar(
        x=[f"exit {k}" for k in range(len(shares))],
        y=percent,
        marker_color=_BUNDLE,
        texttemplate="%{y:.1f} %",
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{x}: %{y:.2f} %<extra></extra>",
    )
    return _json(
        [bars],
        xaxis={"type": "category", "showgrid": False},
        yaxis={"title_text": "share of test images", "ticksuffix": " %"},
    )


def class_balance(
    statistics: Mapping[str, Any], labels: Sequence[str]
) -> Figure:
    """Draws the share of every class in each split, in percent.

    Args:
        statistics: Those of the manifest: a description per split.
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
    return _json(
        traces,
        xaxis={"type": "category", "showgrid": False},
        yaxis={"title_text": "share of the split", "ticksuffix": " %"},
    )


def image_sides(statistics: Mapping[str, Any]) -> Figure:
    """Draws how many images came in which size, by their shorter side.

    Args:
        statistics: Those of the manifest: a description per split.
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
    return _json(
        traces,
        xaxis={
            "type": "category",
            "showgrid": False,
            "title_text": "shorter side, pixels",
        },
        yaxis={"title_text": "images"},
    )


def _panel(lines: Sequence[series.Series]) -> Figure:
    costs = [cost for each in lines for cost in each.madds]
    low, high = min(costs) / 1.15, max(costs) * 1.15
    at = ticks.logarithmic(low, high)
    traces = [_band(each) for each in lines if each.lowest]
    traces += [_curve(each) for each in lines]
    return _json(
        traces,
        xaxis={
            "type": "log",
            "title_text": "mean multiply-adds per image",
            "range": [math.log10(low), math.log10(high)],
            "tickvals": at,
            "tickangle": 0,
            "ticktext": [page.quantity(tick) for tick in at],
        },
        yaxis={"title_text": "test accuracy", "ticksuffix": " %"},
        showlegend=False,
        margin_right=24,  # For half of the last tick's label.
    )


def _curve(line):
    name = html.escape(line.name, quote=False)
    return go.Scatter(
        name=name,
        # What the boxes of the page's legend look for.
        legendgroup=line.name,
        x=line.madds,
        y=[100 * accuracy for accuracy in line.accuracies],
        mode="lines+markers" if line.mark else "lines",
        line={"color": line.color, "width": line.width, "dash": _dash(line)},
        marker={"symbol": line.mark or "circle", "size": 7},
        hovertext=[html.escape(text, quote=False) for text in line.texts],
        hovertemplate=f"{name}<br>%{{hovertext}}<br>%{{y:.2f}} % at "
        "%{x:.3s} multiply-adds<extra></extra>",
    )


def _dash(line):
    return ",".join(f"{length}px" for length in line.dash) or "solid"


def _band(line):
    """From the lowest to the highest of the seeds."""
    edge = [*line.highest, *reversed(line.lowest)]
    return go.Scatter(
        legendgroup=line.name,
        x=[*line.madds, *reversed(line.madds)],
        y=[100 * accuracy for accuracy in edge],
        mode="lines",
        line_width=0,
        fill="toself",
        fillcolor=line.color,
        opacity=0.2,
        hoverinfo="skip",
    )


def _trade_off(
    metrics, *, exit_costs, routed_costs, unsplit_cost, axis, hover
) -> Figure:
    """Draws the exits, the policies, the bundle's and the unsplit model."""
    accuracies = [each["accuracy"]["int8"] for each in metrics["exits"]]
    exits, sweeps, bundle = [], {}, []
    for k, (cost, accuracy) in enumerate(
        zip(exit_costs, accuracies, strict=True)
    ):
        exits.append((cost, accuracy, f"every image to exit {k}"))
    for cost, each in zip(routed_costs, metrics["routed"], strict=True):
        point = (cost, each["accuracy"], _hover_name(each))
        if each.get("bundle"):
            bundle.append(point)
        else:
            sweeps.setdefault(each["policy"], []).append(point)
    unsplit = [(unsplit_cost, accuracies[-1], "unsplit model")]

    traces = [_line("each exit alone", exits, hover)]
    traces += [_line(name, points, hover) for name, points in sweeps.items()]
    traces += [
        _mark("unsplit model", unsplit, hover, "diamond-open", 15, _UNSPLIT),
        _mark("the bundle's policy", bundle, hover, "star", 15, _BUNDLE),
    ]
    return _json(
        [trace for trace in traces if trace.x],
        xaxis={**axis, "rangemode": "tozero"},
        yaxis={"title_text": "accuracy", "ticksuffix": " %"},
    )


def _mean(measured, key):
    return (measured.get(key) or {}).get("mean")


def _hover_name(routed):
    """Names a policy and its target; Plotly would take tags as markup."""
    name = html.escape(routed["policy"], quote=False)
    if routed["target"] is None:
        return name
    return f"{name}, target {html.escape(str(routed['target']), quote=False)}"


def _line(name, points, hover):
    scatter = _scatter(name, points, hover)
    return scatter.update(mode="lines+markers", marker_size=7)


def _mark(name, points, hover, symbol, size, color):
    scatter = _scatter(name, points, hover)
    marker = {"symbol": symbol, "size": size, "color": color}
    # A marker on the last exit must not hide the line below it.
    marker["line"] = {"width": 2, "color": color}
    return scatter.update(mode="markers", marker=marker)


def _scatter(name, points, hover):
    """Makes a series of (cost, accuracy, name); None costs are left out."""
    points = sorted(point for point in points if point[0] is not None)
    return go.Scatter(
        name=html.escape(name, quote=False),
        x=[cost for cost, _, _ in points],
        y=[100 * accuracy for _, accuracy, _ in points],
        hovertext=[text for _, _, text in points],
        hovertemplate=f"%{{hovertext}}<br>%{{y:.2f}} % at {hover}"
        "<extra></extra>",
    )


def _json(traces, *, xaxis, yaxis, showlegend=None, margin_right=10) -> Figure:
    axis = {
        "gridcolor": _GRID,
        "zeroline": False,
        "automargin": True,
        "title_standoff": 8,
    }
    layout = go.Layout(
        template="none",
        colorway=_SERIES,
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        margin={"l": 10, "r": margin_right, "t": 20, "b": 10},
        legend={"orientation": "h", "y": -0.25, "yanchor": "top"},
        # On a phone a finger that scrolls the page must not zoom.
        dragmode=False,
        xaxis={**axis, **xaxis},
        yaxis={**axis, **yaxis},
        showlegend=showlegend,
    )
    return json.loads(go.Figure(traces, layout).to_json())
