"""Builds the figures of the pages, with the layout that all of them share.

Colours of text and background are the page's business, so that they follow
its light or dark mode; those of the series are legible on both.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

# As plotly.js takes it: "data" and "layout".
Figure = dict[str, Any]

SERIES = ("#2f7de1", "#d9730d", "#129a74", "#b04fc4", "#8a8f98")
GREY = "#8a8f98"
_GRID = "rgba(128, 128, 128, 0.3)"


def build(
    traces: Sequence[Any],
    *,
    xaxis: Mapping[str, Any],
    yaxis: Mapping[str, Any],
    showlegend: bool | None = None,
    margin_right: int = 10,
) -> Figure:
    """Returns a figure as JSON that plotly.js draws.

    Args:
        traces: Traces of Plotly, from the undermost to the topmost.
        xaxis: Settings of the x axis besides those of all axes.
        yaxis: Settings of the y axis besides those of all axes.
        showlegend: Whether to show a legend; None leaves it to Plotly.
        margin_right: Right margin in pixels.
    """
    axis = {
        "gridcolor": _GRID,
        "zeroline": False,
        "automargin": True,
        "title_standoff": 8,
    }
    layout = go.Layout(
        template="none",
        colorway=SERIES,
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
