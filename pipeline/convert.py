"""From the quantized graph to a bundle with an exit policy."""

import importlib.metadata

import ml_collections
import numpy as np
from absl import logging

from keras_dynamic import exits
from pipeline import (
    assessment,
    augmentation,
    dataset,
    evaluate,
    manifest,
    policies,
    predictions,
    tables,
    workdir,
)
from pipeline import metrics as metrics_lib
from pipeline.layout import Layout
from pipeline.predictions import Predictions
from tflite import bundle, metadata, operations, split, unsplit
from tflite import convert as tflite_convert

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
    metrics = metrics_lib.read(layout.metrics)
    labels = manifest.read(layout.data)["labels"]
    model = tflite_convert.convert(layout.qat_model)
    logging.info("int8 model: %d bytes", len(model))

    whole = unsplit.Unsplit(model)
    found = {
        name: predict(whole, config, layout, name)
        for name in ("calibration", "test")
    }
    with workdir.published(layout.tflite) as stage:
        stage.mkdir()
        (stage / layout.tflite_model.name).write_bytes(model)
        predictions.save(stage / layout.predictions.name, **found)
    evaluate.log_accuracies("int8", found["test"].accuracies())
    assessment.assess(metrics, "int8", found["calibration"], found["test"])

    madds = [row["madds"] for row in metrics["exits"]]
    policy, routed = policies.fit(
        config.policy, found["calibration"], found["test"], madds
    )
    metrics["routed"] = routed
    _log_policy(policy, routed)
    _write_bundle(config, layout, model, labels, policy)
    tables.publish(layout, metrics)
    metrics_lib.write(layout.metrics, metrics)


def predict(
    model: unsplit.Unsplit,
    config: ml_collections.ConfigDict,
    layout: Layout,
    name: str,
) -> Predictions:
    """Runs the int8 model over a split, one image at a time."""
    images = dataset.load(layout.data, name)
    pixels = augmentation.center_crop(images.images, config.model.size)
    logits = [model.dequantize(model.logits(image)) for image in pixels]
    return Predictions(images.labels, np.stack(logits, axis=1))


def _write_bundle(config, layout, model, labels, policy):
    exits = policy.exits
    cut = split.split(model, [f"exit_{k}" for k in range(exits)])
    segments = []
    for place, segment in enumerate(cut):
        described = metadata.attach(
            segment.model,
            name=(
                f"{config.name} segment {place}"
                if segment.exit is None
                else f"{config.name} exit {segment.exit}"
            ),
            description=_description(segment, len(cut), exits),
            labels=labels,
            logits_name=segment.output,
            image_name=unsplit.IMAGE,
            version=importlib.metadata.version("keras-dynamic"),
        )
        counted = operations.count(segment.model)
        segments.append(
            bundle.Part(
                described,
                segment.inputs,
                segment.outputs,
                exit=segment.exit,
                madds=counted.madds,
                params=counted.params,
                gate=segment.gate,
            )
        )
    size = config.model.size
    with workdir.published(layout.bundle) as stage:
        bundle.write(
            str(stage),
            name=config.name,
            segments=segments,
            labels=labels,
            input=bundle.InputFacts(shape=(size, size, config.data.channels)),
            policy=policy,
            provenance={
                "config": config.name,
                "model": config.model.family,
                # Images are fitted to this size, then cropped at the centre.
                "stored_size": config.data.size,
                "versions": {
                    name: importlib.metadata.version(name) for name in _VERSIONS
                },
            },
        )


def _description(segment: split.Segment, segments: int, exits: int) -> str:
    if segments == 1:
        return "An image classifier."
    what = "Part" if segment.exit is None else f"Exit {segment.exit} of {exits}"
    unless = "" if segment.gate is None else ", unless its gate is 0"
    return (
        f"{what} of an early-exit image classifier; runs after the segments "
        f"before it{unless}."
    )


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
