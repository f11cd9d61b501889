"""Renders the templates of the pages that show results."""

from typing import Any

import jinja2
import markupsafe
import plotly.offline

from pipeline.results import wilson

NOT_MEASURED = "not measured"


def render(template: str, **values: Any) -> str:
    """Returns a page, or a figure, of `pipeline/figures/templates`.

    Args:
        template: Name of the file; values in .html and .svg are escaped.
        **values: Variables of the template.
    """
    return _environment().get_template(template).render(**values)


def plotly_js() -> markupsafe.Markup:
    """Returns the library that draws a page's figures."""
    return markupsafe.Markup(plotly.offline.get_plotlyjs())


def quantity(number: float | None) -> str:
    """Writes a count with three digits and a unit, such as "1.23 M"."""
    if number is None:
        return NOT_MEASURED
    for unit in ("", " k", " M", " G"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g} T"


def target(value: object) -> str:
    """Writes the target of a policy, such as "0" or "1.5"."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def threshold(number: float) -> str:
    """Writes a threshold with four digits, also of its difference to 1.

    Scores of a sure network lie so near to 1 that rounding makes them 1.
    """
    missing = 1.0 - number
    if 0.0 < missing < 0.001:
        return f"1 − {missing:.2g}".replace("e-0", "e−").replace("e-", "e−")
    return f"{number:.4g}"


def interval(share: float | None, images: int) -> str:
    """Writes what the share of some images tells of all, in percent.

    Args:
        share: Share of the images, in [0, 1]; None gives an empty text.
        images: Number of the images.
    """
    if share is None or not images:
        return ""
    low, high = wilson.interval(share, images)
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.figures"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "breakable": _breakable,
        "count": _count,
        "interval": interval,
        "milliseconds": _milliseconds,
        "percent": _percent,
        "points": _points,
        "quantity": quantity,
        "ratio": _ratio,
        "target": target,
        "threshold": threshold,
        "times": _times,
    }
    return environment


def _breakable(name: str) -> markupsafe.Markup:
    """Lets a line break after each underscore of a name."""
    return markupsafe.Markup("_<wbr>").join(name.split("_"))


def _count(number: int | None) -> str:
    return NOT_MEASURED if number is None else f"{number:,}"


def _percent(share: float | None, digits: int = 2) -> str:
    if share is None:
        return NOT_MEASURED
    return f"{100 * share:.{digits}f} %"


def _points(share: float) -> str:
    """Writes a difference of shares in percentage points."""
    # No difference has no sign to it but that of a gain.
    return f"{round(100 * share, 2) + 0.0:+.2f}".replace("-", "−")


def _milliseconds(time: float | None, unit: str = "") -> str:
    return NOT_MEASURED if time is None else f"{time:.3f}{unit}"


def _times(ratio: float | None) -> str:
    return NOT_MEASURED if ratio is None else f"{ratio:.2f} × unsplit"


def _ratio(one: float, other: float) -> str:
    """Writes how many times as large the one is as the other."""
    # No line breaks within it.
    return f"{one / other:.2f}\N{NO-BREAK SPACE}×"
