"""Makes a bundle with an exit policy of the quantized graph."""

import dataclasses
import functools
import importlib.metadata
import tempfile
from collections.abc import Callable, Sequence

import ml_collections
import numpy as np
from absl import logging

from keras_dynamic import exits
from pipeline.data import augmentation, dataset, manifest
from pipeline.policies import named_rules
from pipeline.processes import heartbeat
from pipeline.results import (
    assessment,
    metrics_file,
    own_files,
    packages,
    predictions,
    stage_results,
)
from pipeline.results.layout import Layout
from pipeline.results.overlay import overlay
from pipeline.results.predictions import Predictions
from pipeline.results.stage_results import Results
from pipeline.storage import publishing
from pipeline.training import trained_model
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


@dataclasses.dataclass(frozen=True)
class BundleFacts:
    """Holds what a bundle says of itself, whatever its policy.

    Attributes:
        name: Name of the configuration.
        family: Family of the model.
        size: Height and width of the input.
        channels: Channels of the input.
        stored_size: Size to which an image is fitted before it is cropped.
        labels: Labels, one per class.
    """

    name: str
    family: str
    size: int
    channels: int
    stored_size: int
    labels: Sequence[str]


def convert(config: ml_collections.ConfigDict, layout: Layout) -> Results:
    """Converts, splits, fits the exit policy and writes the bundle.

    Returns:
        Results of the int8 model, and of the policies that were tried.

    Raises:
        ValueError: If the float model was not evaluated, the images are not
            those that it was trained on, or `config.policy` cannot be used.
    """
    costs = [row["madds"] for row in metrics_file.read(layout.metrics)["exits"]]
    facts = BundleFacts(
        name=config.name,
        family=config.model.family,
        size=config.model.size,
        channels=config.data.channels,
        stored_size=config.data.size,
        labels=manifest.read(layout.data)["labels"],
    )
    heartbeat.say("converting to int8")
    model = conversion.convert(layout.qat_model, config.quantize.keep_float)
    logging.info("int8 model: %d bytes", len(model))
    cut = split.split(model, [f"exit_{k}" for k in range(len(costs))])
    write = functools.partial(write_bundle, facts=facts, cut=cut)

    whole = whole_model.Unsplit(model)
    recorded, found = {}, {}
    for name in ("calibration", "test"):
        images = dataset.load(layout.data, name)
        heartbeat.note(
            f"running the int8 model over {len(images.labels)} {name} images"
        )
        said = _record(whole, cut, images, facts.size, write)
        recorded[name] = said
        logits = whole.dequantize(said.logits)
        found[name] = Predictions(said.labels, logits)
    with publishing.published(layout.tflite, own_files.TFLITE) as stage:
        stage.mkdir()
        (stage / layout.tflite_model.name).write_bytes(model)
        predictions.save(stage / layout.predictions.name, **found)
    trained_model.log_accuracies("int8", found["test"].accuracies())

    if not metadata.available():
        logging.warning(
            "the segments have no metadata for Android's tools: the extra "
            "`support` of keras-dynamic is not installed"
        )
    heartbeat.note("fitting the policies")
    policy, measured = _measured(config.policy, costs, recorded, found)
    with publishing.published(layout.bundle, own_files.BUNDLE) as stage:
        write(str(stage), policy=policy, recorded=recorded["calibration"])
    return stage_results.keep(layout, "convert", measured)


def _record(
    whole: whole_model.Unsplit,
    cut: Sequence[split.Segment],
    images: dataset.Images,
    size: int,
    write: Callable[..., None],
) -> Recorded:
    """Runs the int8 model over a split, one image at a time.

    With gates, whose costs depend on the image, the chain runs, too.

    Args:
        whole: The model.
        cut: Segments of the model.
        images: Images of the split.
        size: Height and width of the model's input.
        write: Writes the segments as a bundle with a policy to a directory.
    """
    pixels = augmentation.center_crop(images.images, size)
    logits = np.stack([whole.logits(image) for image in pixels], axis=1)
    madds = None
    if any(segment.wiring.gate is not None for segment in cut):
        exiting = [each.wiring.exit for each in cut]
        ends = [exit for exit in exiting if exit is not None]
        with tempfile.TemporaryDirectory() as directory:
            write(directory, policy=exits.last_exit([1.0] * len(ends)))
            madds = _count_what_runs(directory, pixels)
    return Recorded(images.labels, logits, madds)


def _count_what_runs(directory: str, pixels: np.ndarray) -> np.ndarray:
    """Runs the chain of a bundle to its last exit.

    Returns:
        Multiply-adds up to each exit; int64 [N, K].
    """
    with Harness(directory) as harness:
        madds = [
            [reached.madds for reached in harness.exits(image)]
            for image in pixels
        ]
    return np.cumsum(madds, axis=1, dtype=np.int64)


def _measured(
    settings: ml_collections.ConfigDict,
    costs: Sequence[int],
    recorded: dict[str, Recorded],
    found: dict[str, Predictions],
) -> tuple[exits.Policy, dict]:
    """Fits the policies, and measures the accuracy and cost of the int8 model.

    Args:
        settings: `config.policy`.
        costs: Multiply-adds up to each exit with all gates open, [K].
        recorded: Answers of the int8 model by split.
        found: The answers of `recorded`, dequantized.

    Returns:
        The policy that ships, and the part of metrics.json.
    """
    ran = recorded["test"].madds
    noted, fitting, testing = {}, costs, costs
    if ran is not None:
        fitting = recorded["calibration"].madds.mean(axis=0).tolist()
        summed = metrics_file.dynamic_madds(ran.T)
        testing = [each["mean"] for each in summed]
        rows = metrics_file.exit_rows("int8", dynamic_madds=summed)
        noted = {"exits": rows}
    policy, routed = named_rules.fit(
        settings, found["calibration"], found["test"], fitting
    )
    _log_policy(policy, routed)
    if ran is not None:
        _note_costs(routed, ran, found["test"].logits)
    assessed = assessment.assess(
        "int8", testing, found["calibration"], found["test"]
    )
    return policy, {**overlay(noted, assessed), "routed": routed}


def _note_costs(
    routed: list[dict], madds: np.ndarray, logits: np.ndarray
) -> None:
    """Replaces the mean costs of policies by the costs of the layers that ran.

    Args:
        routed: Rows of "routed".
        madds: Multiply-adds of the test images up to each exit, [N, K].
        logits: Logits of the test images, [K, N, C].
    """
    for row in routed:
        taken = exits.Policy.from_dict(row["parameters"]).route(logits)
        row["mean_madds"] = float(madds[np.arange(len(taken)), taken].mean())


def write_bundle(
    directory: str,
    *,
    facts: BundleFacts,
    cut: Sequence[split.Segment],
    policy: exits.Policy,
    recorded: Recorded | None = None,
) -> None:
    """Writes segments as a bundle, with metadata where it can be made.

    Args:
        directory: Directory of the bundle, new or empty.
        facts: What the bundle says of itself.
        cut: The segments, in the order in which they run.
        policy: The policy that ships.
        recorded: What the chain said of the calibration images; None leaves
            the file for refitting out.
    """
    segments, models = [], []
    attach = metadata.attach if metadata.available() else _as_it_is
    for place, segment in enumerate(cut):
        exit = segment.wiring.exit
        described = attach(
            segment.model,
            name=(
                f"{facts.name} segment {place}"
                if exit is None
                else f"{facts.name} exit {exit}"
            ),
            description=_description(segment, len(cut), policy.exits),
            labels=facts.labels,
            logits_name=segment.output,
            image_name=whole_model.IMAGE,
            version=importlib.metadata.version("keras-dynamic"),
        )
        counted = counting.count(segment.model)
        models.append(described)
        segments.append(
            bundle.segment_facts(
                place,
                described,
                segment.wiring,
                madds=counted.madds,
                params=counted.params,
            )
        )
    bundle.write(
        directory,
        name=facts.name,
        segments=segments,
        models=models,
        labels=facts.labels,
        input=bundle.InputFacts(
            shape=(facts.size, facts.size, facts.channels),
            fit=bundle.FitFacts(facts.stored_size),
        ),
        policy=policy,
        provenance={
            "config": facts.name,
            "model": facts.family,
            "versions": packages.versions(_VERSIONS),
        },
        calibration=None if recorded is None else _encoded(recorded),
    )


def _as_it_is(model: bytes, **_) -> bytes:
    """Stands in for `metadata.attach` where tflite-support is missing."""
    return model


def _encoded(recorded: Recorded) -> bytes:
    """Encodes the calibration file, of as many images as may be in it."""
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
    wiring = segment.wiring
    what = "Part" if wiring.exit is None else f"Exit {wiring.exit} of {exits}"
    if wiring.bypass:
        when = "instead of the segment before it, where that one's gate is 0"
    elif wiring.gate is not None:
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
