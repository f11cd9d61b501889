"""metrics.json: what CI, the gate and the report read.

`evaluate` begins it; each later stage adds its own numbers. What has not been
measured yet is absent. The fields:

    format_version, config, model, dataset {split: n, rejected: n}
    exits      per exit: exit, madds, madds_paper, params (cumulative), accuracy
               {float, qat, int8}, latency_ms up to the exit; and {float, int8}
               of auroc (null if all answers are right, or all wrong), aurc,
               excess_aurc, calibration_accuracy, temperature,
               temperature_status, nll_before, nll_after (see
               keras_dynamic.exits.curves.ranking, .temperature). With gates
               also dynamic_madds {float, int8} of {mean, std, min, max}: what
               the gates left to do up to the exit, over the test images
    curves     {float, int8} of {anytime, budgeted_batch}: area, points of
               target (exit, or q), madds (mean), accuracy, calibration_madds,
               calibration_accuracy (see keras_dynamic.exits.curves.curve)
    routed     per policy: policy, target, accuracy, mean_madds
               (with gates, once checked, of what ran), mean_latency_ms,
               exit_shares, bundle (whether it ships), status
               (as its rule reports), parameters (see keras_dynamic.exits)
    chain      samples, mismatches, overhead (chain p50 / unsplit p50)
    segment_latency_ms, unsplit_latency_ms, chain_latency_ms,
    routed_latency_ms    each {mean, p50, p90, p99}, with the first number of
               threads of the benchmark
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.storage import publishing
from tflite.format import files, strict_json

FORMAT_VERSION = 1
_MAX_BYTES = 2**26  # Of curves of thousands of points a hundredth.


def mean_madds(exit: Mapping[str, Any], kind: str) -> float:
    """Mean multiply-adds of an image up to an exit.

    Of what runs, where gates leave something out and that was counted; all of
    them otherwise.

    Args:
        exit: A row of "exits".
        kind: "float" or "int8", the model.
    """
    dynamic = exit.get("dynamic_madds", {}).get(kind)
    return dynamic["mean"] if dynamic else exit["madds"]


def note_dynamic_madds(found: dict, kind: str, madds: np.ndarray) -> None:
    """Notes what a model with gates ran.

    Args:
        found: The metrics.
        kind: "float" or "int8", the model.
        madds: Of each image up to each exit, [K, N].
    """
    for row, values in zip(found["exits"], madds, strict=True):
        row.setdefault("dynamic_madds", {})[kind] = {
            "mean": float(values.mean()),
            "std": float(values.std()),
            "min": int(values.min()),
            "max": int(values.max()),
        }


def read(path: pathlib.Path) -> dict:
    """Reads a metrics file.

    Raises:
        ValueError: If there is none, or it is not one of this version.
    """
    try:
        found = strict_json.decode(files.read(path, _MAX_BYTES))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} must be what `keras-dynamic evaluate` writes: {error}"
        ) from error
    version = isinstance(found, dict) and found.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} must have format_version {FORMAT_VERSION}. "
            f"Received: {version}"
        )
    return found


def write(path: pathlib.Path, metrics: dict) -> None:
    """Writes a metrics file, atomically."""
    publishing.write_json(path, {"format_version": FORMAT_VERSION, **metrics})


def set_accuracies(metrics: dict, kind: str, accuracies: list[float]) -> None:
    """Notes the accuracy of every exit; kind is "float", "qat" or "int8"."""
    set_values(metrics, "accuracy", kind, accuracies)


def set_values(
    metrics: dict, name: str, kind: str, values: Sequence[Any]
) -> None:
    """Notes a fact about every exit, such as its "aurc", for one kind."""
    for row, value in zip(metrics["exits"], values, strict=True):
        row.setdefault(name, {})[kind] = value
