"""Draws the figure of a comparison as SVG: small, static, for a document."""

import math
from collections.abc import Sequence

from pipeline.experiments import series
from pipeline.experiments.series import Panels, Series
from pipeline.figures import page, ticks

_WIDTH = 1000.0
# Of the panels' axes, and what is around them.
_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 320.0, 58.0, 14.0, 34.0, 56.0
_LEGEND_ROW = 20.0
# Panels side by side.
_COLUMNS = 2
# A legend of short names takes two columns. Letters are 6.5 wide, about.
_SHORT = 62


def svg(panels: Panels) -> str:
    """Draws the panels, two side by side, and their legend below.

    Args:
        panels: The lines of each panel, by curve.
    """
    shown = {curve: lines for curve, lines in panels.items() if lines}
    width = _WIDTH / min(len(shown), _COLUMNS)
    height = _TOP + _HEIGHT + _BOTTOM
    legend = series.legend(panels)
    columns = 2 if all(len(each.name) < _SHORT for each in legend) else 1
    rows = math.ceil(len(legend) / columns)
    below = math.ceil(len(shown) / _COLUMNS) * height
    return page.render(
        "comparison.svg",
        width=_WIDTH,
        height=below + rows * _LEGEND_ROW + 8,
        panels=[
            _panel(
                curve,
                lines,
                number % _COLUMNS * width,
                number // _COLUMNS * height,
                width,
            )
            for number, (curve, lines) in enumerate(shown.items())
        ],
        legend=[
            {
                "line": each,
                "x": _LEFT + i // rows * _WIDTH / columns,
                "y": below + (i % rows) * _LEGEND_ROW,
            }
            for i, each in enumerate(legend)
        ],
    )


def _panel(
    curve: str, lines: Sequence[Series], start: float, down: float, width: float
) -> dict:
    """Places everything of a panel, in pixels."""
    costs = [math.log(cost) for each in lines for cost in each.costs]
    heights = [
        100 * accuracy
        for each in lines
        for accuracy in (*each.accuracies, *each.lowest, *each.highest)
    ]
    left, right = start + _LEFT, start + width - _RIGHT
    low, high = _widened(min(costs), max(costs))
    bottom, top = _widened(min(heights), max(heights))

    def x(cost: float) -> float:
        share = (math.log(cost) - low) / (high - low)
        return left + share * (right - left)

    def y(percent: float) -> float:
        return down + _TOP + (top - percent) / (top - bottom) * _HEIGHT

    def path(costs: Sequence[float], accuracies: Sequence[float]) -> str:
        pairs = zip(costs, accuracies, strict=True)
        return " ".join(f"{x(c):.1f},{y(100 * a):.1f}" for c, a in pairs)

    return {
        "title": series.TITLES[curve],
        "axis": series.AXES[curve],
        "left": left,
        "right": right,
        "top": down + _TOP,
        "bottom": down + _TOP + _HEIGHT,
        "x_ticks": [
            (x(tick), page.quantity(tick))
            for tick in ticks.logarithmic(math.exp(low), math.exp(high))
        ],
        "y_ticks": [
            (y(tick), f"{tick:g} %") for tick in ticks.linear(bottom, top)
        ],
        "bands": [
            (
                each,
                path(
                    (*each.costs, *reversed(each.costs)),
                    (*each.highest, *reversed(each.lowest)),
                ),
            )
            for each in lines
            if each.lowest
        ],
        "lines": [
            {
                "line": each,
                "path": path(each.costs, each.accuracies),
                "marks": [
                    (x(cost), y(100 * accuracy))
                    for cost, accuracy in zip(
                        each.costs, each.accuracies, strict=True
                    )
                ]
                if each.mark
                else [],
            }
            for each in lines
        ],
    }


def _widened(low: float, high: float) -> tuple[float, float]:
    """Leaves some room around the outermost marks, also around a single one."""
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room
