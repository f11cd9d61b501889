"""Writes one page about the measurements: offline, in a single file."""

import pathlib
from collections.abc import Sequence
from typing import Any

import ml_collections
import numpy as np

from keras_dynamic import exits
from pipeline import stages
from pipeline.data import augmentation, dataset, manifest
from pipeline.experiments import gather, published, series
from pipeline.experiments.gather import RunGroup
from pipeline.experiments.published import Published
from pipeline.figures import page, plots, trade_off
from pipeline.pages import augmented, rerouting, samples, sliders
from pipeline.results import (
    call_times,
    identity,
    metrics_file,
    origin,
    predictions,
    side_by_side,
)
from pipeline.results.layout import Layout
from pipeline.results.predictions import Predictions
from pipeline.storage import publishing
from tflite.bundle import read

# Of metrics.json, beside what any reader needs.
_NEEDED = ("config", "model", "dataset")


def report(
    config: ml_collections.ConfigDict,
    layout: Layout,
    others: Sequence[pathlib.Path] = (),
) -> pathlib.Path:
    """Writes the page about an experiment from the files of the stages.

    Args:
        config: The whole configuration.
        layout: Paths of metrics, predictions, bundle and prepared images.
        others: Working directories to draw beside the experiment, such as
            those of static models.

    Returns:
        The page, `layout.report`.

    Raises:
        ValueError: If one of the files is missing or does not fit the others;
            the message names the verb to run.
    """
    _require(layout.metrics, "evaluate")
    _require(layout.predictions, "convert")
    _require(layout.bundle, "convert")
    _require(layout.data, "prepare")
    metrics = metrics_file.read_converted(layout.metrics, *_NEEDED)
    bundle = read(str(layout.bundle))
    if len(metrics["exits"]) != bundle.policy.exits:
        raise ValueError(
            f"{layout.metrics} must be about the {bundle.policy.exits} exits "
            f"of {layout.bundle}; run `keras-dynamic convert` again. "
            f"Received: {len(metrics['exits'])} exits"
        )
    images, said = _test_split(config, layout)
    tested = len(said.labels)
    metrics["routed"] += _operating_points(bundle, metrics, said)
    data = manifest.read(layout.data)
    panels, publications = _curves(config, metrics)
    beside = _others(layout, metrics, others)
    rows = rerouting.subset(
        len(said.labels), bundle.policy.exits, len(bundle.labels)
    )
    images, said = _rows(images, said, rows)
    shown = samples.choose(images, said, bundle.policy)
    taken = bundle.policy.route(said.logits)
    now = identity.facts(layout)
    benchmark = side_by_side.read_benchmark(layout, now)
    times = side_by_side.of(metrics, benchmark)
    text = page.render(
        "report.html",
        metrics=metrics,
        tested=tested,
        side_by_side=times,
        exit_ms=call_times.up_to_exits(metrics),
        policy_ms=call_times.of_policies(metrics),
        shipped=next((r for r in metrics["routed"] if r.get("bundle")), None),
        bundle=bundle,
        data=data,
        augmented=augmented.sheets(config, layout.data, data),
        samples=samples.by_exit(shown, taken, bundle.policy.exits),
        left=np.bincount(taken, minlength=bundle.policy.exits).tolist(),
        routing=_routing(metrics, layout, bundle, said, shown),
        balance_figure=plots.class_balance(data["statistics"], data["labels"]),
        sides_figure=plots.image_sides(data["statistics"]),
        madds_figure=trade_off.against_madds(metrics, beside),
        latency_figure=trade_off.against_latency(metrics, beside, times),
        others=beside,
        quantization_figure=plots.quantization(metrics),
        timed=(timed := _timed(metrics, bundle)),
        times_figure=timed and plots.latency(timed),
        benchmark=benchmark,
        gate=_gate(metrics, layout, now),
        curve_figures=plots.curves(panels),
        curve_titles=series.TITLES,
        curve_legend=series.legend(panels),
        publications=publications,
        config=config.to_dict(),
        origins=_origins(layout),
        plotly_js=page.plotly_js(),
    )
    with publishing.published(layout.report) as stage:
        stage.write_text(text, encoding="utf-8")
    return layout.report


def _require(path: pathlib.Path, verb: str) -> None:
    if not path.exists():
        raise ValueError(
            f"The report needs {path}, which does not exist. Run "
            f"`keras-dynamic {verb}` with this --config and --workdir first."
        )


def _test_split(config, layout) -> tuple[dataset.Images, Predictions]:
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
    return dataset.Images(seen, images.labels, images.keys), said


def _rows(images, said, rows) -> tuple[dataset.Images, Predictions]:
    """Picks some of the images and their predictions."""
    chosen = dataset.Images(
        images.images[rows],
        images.labels[rows],
        tuple(images.keys[i] for i in rows),
    )
    return chosen, Predictions(said.labels[rows], said.logits[:, rows])


def _operating_points(bundle, metrics, said) -> list[dict[str, Any]]:
    """Makes rows of "routed" for the policies that the bundle has by name."""
    madds = np.array(trade_off.exit_madds(metrics))
    right = exits.correct(said.logits, said.labels, len(madds))
    found = []
    for name, policy in bundle.operating_points.items():
        got = exits.tally(policy.route(said.logits), right, madds)
        found.append(
            {
                "policy": f"operating point {name}",
                "target": None,
                "accuracy": got.accuracy,
                "mean_madds": got.mean_cost,
                "exit_shares": list(got.exit_shares),
                "parameters": policy.to_dict(),
            }
        )
    return found


def _others(layout, metrics, paths) -> list[trade_off.Other]:
    """Reads other working directories, and gives each its own name."""
    found = []
    for path in paths:
        if not (each := Layout(path)).metrics.exists():
            raise ValueError(
                "`others` must be working directories with a metrics.json. "
                f"Received: {path}"
            )
        found.append(
            (each, metrics_file.read_converted(each.metrics, *_NEEDED))
        )
    names = [metrics["config"], *(each["config"] for _, each in found)]
    return [
        trade_off.Other(
            name
            if names.count(name := each["config"]) == 1
            else f"{name} in {other.root.name}",
            each,
        )
        for other, each in found
    ]


def _routing(metrics, layout, bundle, said, shown) -> dict[str, Any] | None:
    """Packs data for sliders and images; see `pipeline.pages.rerouting`."""
    policy = bundle.policy
    scores = policy.scores(said.logits)
    madds = trade_off.exit_madds(metrics)
    policies = {"bundle": [policy]}
    if policy.exits > 1:
        policies["threshold"] = sliders.same_threshold(policy, scores, madds)
        if calibration := _calibration(layout):
            policies["budget"] = sliders.within_budget(
                policy, calibration, scores, madds
            )
    common = policy.to_dict()
    for own in ("thresholds", "enabled", "fitted"):
        common.pop(own, None)
    return {
        **rerouting.pack(said, scores, policies),
        "names": list(bundle.labels),
        "madds": madds,
        "unsplit_madds": metrics["exits"][-1]["madds"],
        "milliseconds": call_times.up_to_exits(metrics),
        "common": common,
        "setting": trade_off.SETTING,
        "samples": [each.to_dict() for each in shown],
    }


def _calibration(layout) -> Predictions | None:
    try:
        return predictions.load(layout.predictions, "calibration")
    except ValueError:
        return None


def _timed(metrics, bundle) -> dict[str, dict[str, float]]:
    """Lists the times by name: the segments, then the whole."""
    names = [facts.file.removesuffix(".tflite") for facts in bundle.segments]
    found = dict(
        zip(names, metrics.get("segment_latency_ms") or [], strict=False)
    )
    for key, name in (
        ("routed_latency_ms", "chain, bundle’s policy"),
        ("chain_latency_ms", "chain, to the last exit"),
        ("unsplit_latency_ms", "unsplit model"),
    ):
        if metrics.get(key):
            found[name] = metrics[key]
    return found


def _gate(metrics, layout, now) -> dict[str, Any] | None:
    """Returns the verdict of `check`; None if it did not run, or told nothing.

    The verdict is in full if it was kept, of this very model, in the working
    directory: `check --output=WORKDIR/gate`.
    """
    path = layout.root / "gate" / "gate.json"
    if kept := identity.of_this_model(path, now):
        return kept
    # A stage that failed has measured, but left no mark.
    measured = "mismatches" in metrics.get("chain", {})
    if measured and (layout.stages / "check.json").exists():
        return {"passed": True}
    return None


def _origins(layout) -> list[dict[str, Any]]:
    """Lists where each stage ran, and this one, which has no mark yet."""
    ran = origin.read(layout.stages, tuple(stages.STAGES))
    ran = [each for each in ran if each["stage"] != "report"]
    return [*ran, origin.here("report")]


def _curves(config, metrics) -> tuple[series.Panels, list[Published]]:
    """Returns the curves of the float and int8 model, and published ones."""
    settings = config.to_dict()
    measured = []
    for kind in gather.KINDS:
        if run := gather.of_metrics(settings, metrics, kind):
            measured.append(RunGroup(f"{kind} model", (run,)))
    if not measured:
        return {}, []
    publications = published.matching(
        config.model.family,
        config.train.objective,
        published.dataset_of(config.name),
    )
    panels = series.panels(measured, publications, connect_static=False)
    return panels, publications
