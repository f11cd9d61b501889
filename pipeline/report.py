"""One page that shows what was measured: offline, in a single file."""

import pathlib

import ml_collections

from pipeline import (
    augmentation,
    dataset,
    experiments,
    manifest,
    page,
    plots,
    predictions,
    published,
    samples,
    series,
    workdir,
)
from pipeline import metrics as metrics_lib
from pipeline.experiments import Experiment
from pipeline.layout import Layout
from pipeline.published import Published
from tflite import bundle as bundles


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
    panels, publications = _curves(config, metrics)
    shipped = next((r for r in metrics["routed"] if r.get("bundle")), None)
    text = page.render(
        "report.html",
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
        curve_figures=plots.curves(panels),
        curve_titles=series.TITLES,
        curve_legend=series.legend(panels),
        publications=publications,
        epochs=config.train.epochs,
        shares_figure=shipped and plots.exit_shares(shipped["exit_shares"]),
        plotly_js=page.plotly_js(),
    )
    with workdir.published(layout.report) as stage:
        stage.write_text(text, encoding="utf-8")
    return layout.report


def _require(path: pathlib.Path, verb: str) -> None:
    if not path.exists():
        raise ValueError(
            f"The report needs {path}, which does not exist. Run "
            f"`keras-dynamic {verb}` with this --config and --workdir first."
        )


def _curves(config, metrics) -> tuple[series.Panels, list[Published]]:
    """The curves of the float and the int8 model, beside published ones."""
    settings = config.to_dict()
    measured = []
    for kind in experiments.KINDS:
        if run := experiments.of_metrics(settings, metrics, kind):
            measured.append(Experiment(f"{kind} model", (run,)))
    if not measured:
        return {}, []
    publications = published.matching(
        config.model.family,
        config.train.objective,
        published.dataset_of(config.name),
    )
    panels = series.panels(measured, publications, connect_static=False)
    return panels, publications


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
