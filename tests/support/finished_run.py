"""Writes working directories of experiments that were never run."""

import pathlib

import numpy as np

from pipeline import config
from pipeline.results import assessment, metrics_file
from pipeline.results.layout import Layout
from pipeline.results.overlay import overlay
from pipeline.results.predictions import Predictions
from pipeline.storage import publishing

MADDS = (8_000_000, 20_000_000, 50_000_000)


def predictions(seed, exits=3, images=300, classes=10, strength=2.0):
    """Returns logits of exits that get better with depth."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images).astype(np.int32)
    growth = np.linspace(strength, 2 * strength, exits)[:, None, None]
    logits = growth * np.eye(classes)[labels]
    noise = rng.normal(size=logits.shape)
    return Predictions(labels, (logits + noise).astype(np.float32))


def write(
    directory,
    name="ranet_cifar10_model1",
    *,
    seed=0,
    madds=MADDS,
    strength=2.0,
    kinds=("float", "int8"),
    calibration=True,
    gated=False,
    overrides=None,
):
    """Writes config.json and metrics.json of a finished working directory.

    Args:
        directory: Directory of the experiment.
        name: Name of a built-in configuration.
        seed: Seed of training.
        madds: Cumulative multiply-adds, per exit.
        strength: Strength of the logits: the larger, the more accurate.
        kinds: Kinds of model that were measured.
        calibration: Whether there are calibration images.
        gated: Whether the costs are means of what images cost.
        overrides: Values of the configuration, by dotted name.

    Returns:
        The directory, as a path.
    """
    layout = Layout(pathlib.Path(directory))
    settings = config.load(name)
    settings.seed = seed
    settings.update_from_flattened_dict(overrides or {})
    publishing.write_json(layout.config, settings.to_dict())
    found = {
        "config": settings.name,
        "model": settings.model.family,
        "dataset": {"test": 300},
        "exits": [
            {
                "exit": k,
                "madds": cost,
                "madds_paper": cost + 1,
                "params": k + 1,
                "accuracy": {},
            }
            | (
                {"dynamic_madds": {kind: {"mean": cost} for kind in kinds}}
                if gated
                else {}
            )
            for k, cost in enumerate(madds)
        ],
    }
    said = [
        predictions([seed, split], len(madds), strength=strength)
        for split in range(2)
    ]
    for kind in kinds:
        fitted = said[0] if calibration else None
        assessed = assessment.assess(kind, madds, fitted, said[1])
        found = overlay(found, assessed)
    metrics_file.write(layout.metrics, found)
    return layout.root


def add_times(directory, segments, *, processor) -> None:
    """Adds what a benchmark of the int8 model leaves.

    Every call takes 1 ms more than its segments. Half of the images stop at
    the first exit, half at the last one.

    Args:
        directory: A directory that `write` wrote.
        segments: Milliseconds of the segments up to each exit, [K].
        processor: Name of the processor.
    """
    layout = Layout(directory)
    metrics = metrics_file.read(layout.metrics)
    shares = [0.0] * len(segments)
    for place in (0, -1):
        shares[place] += 0.5
    routed = 1.0 + float(np.dot(shares, segments))
    unsplit = 1.0 + segments[-1]
    metrics["routed"] = [
        {
            "policy": "accuracy_drop",
            "target": 0.0,
            "bundle": True,
            "accuracy": metrics["exits"][-1]["accuracy"]["int8"] - 0.01,
            "mean_madds": 1e6,
            "exit_shares": shares,
        }
    ]
    for row, mean in zip(metrics["exits"], segments, strict=True):
        row["latency_ms"] = _times(mean)
    metrics["routed_latency_ms"] = _times(routed)
    metrics["unsplit_latency_ms"] = _times(unsplit)
    metrics_file.write(layout.metrics, metrics)
    means = {"routed": routed, "unsplit": unsplit}
    if len(segments) > 1:
        means["static"] = 1.25
    layout.benchmark.mkdir()
    publishing.write_json(
        layout.benchmark_json,
        {
            "made_from": {"model": "gone"},
            "measured": {"processor": processor, "cores": 2},
            "load_average": 0.25,
            "rows": [
                {
                    "contestant": name,
                    "threads": 1,
                    "segment": None,
                    "call_mean_ms": mean,
                }
                for name, mean in means.items()
            ],
        },
    )


def _times(mean: float) -> dict[str, float]:
    return {"mean": mean, "p50": mean, "p90": mean, "p99": mean}
