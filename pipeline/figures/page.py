"""Renders the templates of the pages that show results."""

from typing import Any

import jinja2
import markupsafe
import plotly.offline

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
        "milliseconds": _milliseconds,
        "percent": _percent,
        "points": _points,
        "quantity": quantity,
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
    return f"{100 * share:+.2f}".replace("-", "−")


def _milliseconds(time: float | None, unit: str = "") -> str:
    return NOT_MEASURED if time is None else f"{time:.3f}{unit}"


def _times(ratio: float | None) -> str:
    return NOT_MEASURED if ratio is None else f"{ratio:.2f} × unsplit"
