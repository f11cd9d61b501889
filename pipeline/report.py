"""One page that shows what was measured: offline, in a single file."""

import pathlib

import jinja2
import markupsafe
import ml_collections
import plotly.offline

from pipeline import (
    augmentation,
    dataset,
    manifest,
    plots,
    predictions,
    samples,
    workdir,
)
from pipeline import metrics as metrics_lib
from pipeline.layout import Layout
from tflite import bundle as bundles

_NOT_MEASURED = "not measured"


def report(config: ml_collections.ConfigDict, layout: Layout) -> pathlib.Path:
    """Writes the page about an experiment, from what the stages left.

    Args:
        config: The whole configuration.
        layout: With metrics, predictions, bundle and prepared images.

    Returns:
        The page, `layout.report`.

    Raises:
        ValueError: If one of them is missing or does not fit the others; the
            message names the verb to run.
    """
    _require(layout.metrics, "evaluate")
    _require(layout.predictions, "convert")
    _require(layout.bundle, "convert")
    _require(layout.data, "prepare")
    metrics = metrics_lib.read(layout.metrics)
    if "routed" not in metrics:
        raise ValueError(
            f"{layout.metrics} must have the policies, `routed`; run "
            f"`keras-dynamic convert` again. Received: {list(metrics)}"
        )
    bundle = bundles.read(str(layout.bundle))
    if len(metrics["exits"]) != bundle.policy.exits:
        raise ValueError(
            f"{layout.metrics} must be about the {bundle.policy.exits} exits "
            f"of {layout.bundle}; run `keras-dynamic convert` again. "
            f"Received: {len(metrics['exits'])} exits"
        )
    data = manifest.read(layout.data)
    shipped = next((r for r in metrics["routed"] if r.get("bundle")), None)
    page = _template().render(
        metrics=metrics,
        shipped=shipped,
        provenance=bundle.provenance,
        enabled=bundle.policy.enabled,
        samples=_samples(config, layout, bundle),
        data=data,
        balance_figure=plots.class_balance(data["statistics"], data["labels"]),
        sides_figure=plots.image_sides(data["statistics"]),
        madds_figure=plots.accuracy_against_madds(metrics),
        latency_figure=plots.accuracy_against_latency(metrics),
        shares_figure=shipped and plots.exit_shares(shipped["exit_shares"]),
        plotly_js=markupsafe.Markup(plotly.offline.get_plotlyjs()),
    )
    with workdir.published(layout.report) as stage:
        stage.write_text(page, encoding="utf-8")
    return layout.report


def _require(path: pathlib.Path, verb: str) -> None:
    if not path.exists():
        raise ValueError(
            f"The report needs {path}, which does not exist. Run "
            f"`keras-dynamic {verb}` with this --config and --workdir first."
        )


def _samples(config, layout, bundle) -> list[list[samples.Sample]]:
    images = dataset.load(layout.data, "test")
    said = predictions.load(layout.predictions, "test")
    if said.labels.tolist() != images.labels.tolist():
        raise ValueError(
            f"{layout.predictions} must be about the {len(images.labels)} test "
            f"images of {layout.data}; run `keras-dynamic convert` again. "
            f"Received: {len(said.labels)} predictions, or other labels"
        )
    # What the model sees of each image, no more.
    seen = augmentation.center_crop(images.images, config.model.size)
    images = dataset.Images(seen, images.labels, images.keys)
    return samples.by_exit(images, said, bundle.policy, bundle.labels)


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "count": _count,
        "percent": _percent,
        "milliseconds": _milliseconds,
        "quantity": _quantity,
        "times": _times,
    }
    return environment.get_template("report.html")


def _count(number: int | None) -> str:
    return _NOT_MEASURED if number is None else f"{number:,}"


def _percent(share: float | None, digits: int = 2) -> str:
    if share is None:
        return _NOT_MEASURED
    return f"{100 * share:.{digits}f} %"


def _milliseconds(time: float | None) -> str:
    return _NOT_MEASURED if time is None else f"{time:.3f}"


def _times(ratio: float | None) -> str:
    return _NOT_MEASURED if ratio is None else f"{ratio:.2f} × unsplit"


def _quantity(number: float | None) -> str:
    """Writes a count with three digits and a unit, such as "1.23 M"."""
    if number is None:
        return _NOT_MEASURED
    for unit in ("", " k", " M", " G"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g} T"
