"""From the quantized graph to a bundle with an exit policy."""

import dataclasses
import importlib.metadata
import tempfile
from collections.abc import Sequence

import ml_collections
import numpy as np
from absl import logging

from keras_dynamic import exits
from pipeline.data import augmentation, dataset, manifest
from pipeline.policies import named_rules
from pipeline.results import (
    assessment,
    metrics_file,
    own_files,
    predictions,
    tables,
)
from pipeline.results.layout import Layout
from pipeline.results.predictions import Predictions
from pipeline.storage import publishing
from pipeline.training import evaluate
from tflite import bundle
from tflite.bundle import metadata, recorded_logits
from tflite.bundle.recorded_logits import Recorded
from tflite.cutting import counting, split
from tflite.quantization import conversion
from tflite.runtime import whole_model
from tflite.runtime.harness import Harness

_VERSIONS = (
    "keras-dynamic",
    "keras",
    "tensorflow",
    "tensorflow-model-optimization",
    "ai-edge-litert",
    "tflite-support",
)


def convert(config: ml_collections.ConfigDict, layout: Layout) -> None:
    """Converts, splits, fits the exit policy and writes the bundle."""
    metrics = metrics_file.read(layout.metrics)
    labels = manifest.read(layout.data)["labels"]
    model = conversion.convert(layout.qat_model)
    logging.info("int8 model: %d bytes", len(model))

    whole = whole_model.Unsplit(model)
    recorded = {
        name: record(whole, config, layout, name)
        for name in ("calibration", "test")
    }
    found = {
        name: Predictions(said.labels, whole.dequantize(said.logits))
        for name, said in recorded.items()
    }
    with publishing.published(layout.tflite, own_files.TFLITE) as stage:
        stage.mkdir()
        (stage / layout.tflite_model.name).write_bytes(model)
        predictions.save(stage / layout.predictions.name, **found)
    evaluate.log_accuracies("int8", found["test"].accuracies())
    assessment.assess(metrics, "int8", found["calibration"], found["test"])

    costs = [row["madds"] for row in metrics["exits"]]
    cut = split.split(model, [f"exit_{k}" for k in range(len(costs))])
    fitting = recorded["calibration"]
    if any(segment.gate is not None for segment in cut):
        madds = count_what_runs(config, layout, cut, labels)
        fitting = dataclasses.replace(fitting, madds=madds)
        costs = madds.mean(axis=0).tolist()
    policy, routed = named_rules.fit(
        config.policy, found["calibration"], found["test"], costs
    )
    metrics["routed"] = routed
    _log_policy(policy, routed)
    with publishing.published(layout.bundle, own_files.BUNDLE) as stage:
        _write_bundle(str(stage), config, cut, labels, policy, fitting)
    tables.publish(layout, metrics)
    metrics_file.write(layout.metrics, metrics)


def record(
    model: whole_model.Unsplit,
    config: ml_collections.ConfigDict,
    layout: Layout,
    name: str,
) -> Recorded:
    """Runs the int8 model over a split, one image at a time."""
    images = dataset.load(layout.data, name)
    pixels = augmentation.center_crop(images.images, config.model.size)
    logits = [model.logits(image) for image in pixels]
    return Recorded(images.labels, np.stack(logits, axis=1))


def count_what_runs(
    config: ml_collections.ConfigDict,
    layout: Layout,
    cut: Sequence[split.Segment],
    labels: Sequence[str],
) -> np.ndarray:
    """Runs a chain with gates, whose costs depend on the image.

    Returns:
        Multiply-adds up to each exit, of the calibration images; int64 [N, K].
    """
    images = dataset.load(layout.data, "calibration").images
    pixels = augmentation.center_crop(images, config.model.size)
    ends = [each.exit for each in cut if each.exit is not None]
    policy = exits.last_exit([1.0] * len(ends))
    with tempfile.TemporaryDirectory() as directory:
        _write_bundle(directory, config, cut, labels, policy)
        with Harness(directory) as harness:
            madds = [
                [reached.madds for reached in harness.exits(image)]
                for image in pixels
            ]
    return np.cumsum(madds, axis=1, dtype=np.int64)


def _write_bundle(directory, config, cut, labels, policy, recorded=None):
    segments = []
    for place, segment in enumerate(cut):
        described = metadata.attach(
            segment.model,
            name=(
                f"{config.name} segment {place}"
                if segment.exit is None
                else f"{config.name} exit {segment.exit}"
            ),
            description=_description(segment, len(cut), policy.exits),
            labels=labels,
            logits_name=segment.output,
            image_name=whole_model.IMAGE,
            version=importlib.metadata.version("keras-dynamic"),
        )
        counted = counting.count(segment.model)
        segments.append(
            bundle.Part.of(
                segment,
                madds=counted.madds,
                params=counted.params,
                model=described,
            )
        )
    size = config.model.size
    bundle.write(
        directory,
        name=config.name,
        segments=segments,
        labels=labels,
        input=bundle.InputFacts(
            shape=(size, size, config.data.channels),
            fit=bundle.FitFacts(config.data.size),
        ),
        policy=policy,
        provenance={
            "config": config.name,
            "model": config.model.family,
            "versions": {
                name: importlib.metadata.version(name) for name in _VERSIONS
            },
        },
        calibration=None if recorded is None else _encoded(recorded),
    )


def _encoded(recorded: Recorded) -> bytes:
    """The calibration file, of as many images as may be in it."""
    kept = recorded_logits.shortened(recorded)
    if len(kept.labels) < len(recorded.labels):
        logging.warning(
            "%s has the first %d of %d calibration images: more would take "
            "over %d bytes",
            bundle.CALIBRATION,
            len(kept.labels),
            len(recorded.labels),
            recorded_logits.MAX_BYTES,
        )
    return recorded_logits.encode(kept)


def _description(segment: split.Segment, segments: int, exits: int) -> str:
    if segments == 1:
        return "An image classifier."
    what = "Part" if segment.exit is None else f"Exit {segment.exit} of {exits}"
    if segment.bypass:
        when = "instead of the segment before it, where that one's gate is 0"
    elif segment.gate is not None:
        when = "after the segments before it, unless its gate is 0"
    else:
        when = "after the segments before it"
    return f"{what} of an early-exit image classifier; runs {when}."


def _log_policy(policy: exits.Policy, routed: list[dict]) -> None:
    row = next(row for row in routed if row["bundle"])
    logging.info(
        "policy %s %g: accuracy %.2f %%, %.3g M multiply-adds, exits %s",
        row["policy"],
        row["target"],
        100 * row["accuracy"],
        row["mean_madds"] / 1e6,
        " ".join(f"{share:.2f}" for share in row["exit_shares"]),
    )
    logging.info(
        "thresholds: %s",
        " ".join(
            f"{threshold:.4f}" if enabled else "off"
            for threshold, enabled in zip(
                policy.thresholds, policy.enabled, strict=True
            )
        ),
    )
