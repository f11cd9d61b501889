"""Reads and writes metrics.json, which CI, the gate and the report read.

It merges what each stage measured (`pipeline.results.stage_results`). What has
not been measured yet, or of another model or policy than those that are there,
is absent. The fields:

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
               (with gates of what ran), mean_latency_ms,
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

from pipeline.results import metrics_rules
from pipeline.storage import publishing
from tflite.format import files, strict_json

FORMAT_VERSION = 1
_MAX_BYTES = 2**26  # Of curves of thousands of points a hundredth.


def mean_madds(exit: Mapping[str, Any], kind: str) -> float:
    """Returns the mean multiply-adds of an image up to an exit.

    Only those that run count, where gates leave something out and that was
    counted; otherwise all of them count.

    Args:
        exit: A row of "exits".
        kind: Kind of the model, "float" or "int8".
    """
    dynamic = exit.get("dynamic_madds", {}).get(kind)
    return dynamic["mean"] if dynamic else exit["madds"]


def dynamic_madds(madds: np.ndarray) -> list[dict[str, float]]:
    """Summarizes the multiply-adds that a model with gates ran.

    The result is an entry per exit as in metrics.json.

    Args:
        madds: Multiply-adds of each image up to each exit, [K, N].
    """
    return [
        {
            "mean": float(values.mean()),
            "std": float(values.std()),
            "min": int(values.min()),
            "max": int(values.max()),
        }
        for values in madds
    ]


def exit_rows(kind: str, **facts: Sequence[Any]) -> list[dict[str, Any]]:
    """Returns rows of "exits" that hold facts about one kind of the model.

    Args:
        kind: Kind of the model, "float", "qat" or "int8".
        facts: Facts by name, such as "aurc": a value per exit, [K].
    """
    return [
        {name: {kind: value} for name, value in zip(facts, row, strict=True)}
        for row in zip(*facts.values(), strict=True)
    ]


def read(path: pathlib.Path) -> dict:
    """Reads a metrics file.

    Raises:
        ValueError: If there is no file, it is not one of this version, or a
            value that code reads is not what it must be.
    """
    found = read_json(path, "evaluate", FORMAT_VERSION)
    if wrong := metrics_rules.check(found):
        raise _edited(path, "evaluate", wrong)
    return found


def _edited(path: pathlib.Path, stage: str, wrong: str) -> ValueError:
    return ValueError(
        f"{path} must be what the stages write; run `keras-dynamic {stage}` "
        f"again: {wrong}"
    )


def read_converted(path: pathlib.Path, *keys: str) -> dict:
    """Reads a metrics file that has the int8 model and its policies.

    Args:
        path: The file.
        *keys: Further keys that it must have.

    Raises:
        ValueError: If there is no file, or it lacks the policies or what the
            stages before them measured.
    """
    found = read(path)
    if "routed" not in found:
        raise ValueError(
            f"{path} must have the policies, `routed`; run "
            f"`keras-dynamic convert` again. Received: {list(found)}"
        )
    missing = [f"`metrics` must have {key}" for key in keys if key not in found]
    if wrong := metrics_rules.check_converted(found) or ", ".join(missing):
        raise _edited(path, "convert", wrong)
    return found


def read_json(path: pathlib.Path, stage: str, version: int) -> dict:
    """Reads a JSON object that a stage has written.

    Raises:
        ValueError: If there is no file, or its "format_version" is another
            one; the stage is named.
    """
    try:
        found = strict_json.decode(files.read(path, _MAX_BYTES))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} must be what `keras-dynamic {stage}` writes: {error}"
        ) from error
    given = isinstance(found, dict) and found.get("format_version")
    if given != version:
        raise ValueError(
            f"{path} must have format_version {version}. Received: {given}"
        )
    return found


def write(path: pathlib.Path, metrics: dict) -> None:
    """Writes a metrics file, atomically."""
    publishing.write_json(path, {"format_version": FORMAT_VERSION, **metrics})
