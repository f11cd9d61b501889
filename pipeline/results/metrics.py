"""Holds the metrics of an experiment as rows that cannot be changed."""

import dataclasses
import pathlib
import types
from collections.abc import Mapping
from typing import Any

from pipeline.results import metrics_file


@dataclasses.dataclass(frozen=True)
class ExitMetrics:
    """Holds the metrics of one exit.

    Attributes:
        exit: Number of the exit, from 0.
        madds: Multiply-adds up to the exit.
        params: Parameters up to the exit.
        accuracy: Shares of right answers on the test images, by what answered:
            "float", "qat", "int8"; those that have been measured.
        latency_ms: Median milliseconds up to the exit; None before `benchmark`.
    """

    exit: int
    madds: int
    params: int
    accuracy: Mapping[str, float]
    latency_ms: float | None


@dataclasses.dataclass(frozen=True)
class PolicyMetrics:
    """Holds the metrics of one policy on the test images.

    Attributes:
        policy: Rule of the policy.
        target: Target that the rule was asked for.
        ships: Whether the policy is the bundle's.
        accuracy: Share of right answers.
        mean_madds: Mean multiply-adds of an image.
        exit_shares: Share of the images that stop at each exit, [K].
    """

    policy: str
    target: float
    ships: bool
    accuracy: float
    mean_madds: float
    exit_shares: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Holds the metrics of an experiment, from metrics.json.

    Attributes:
        images: Number of images by split, and "rejected".
        exits: Metrics of the exits, shallow to deep.
        policies: Metrics of the policies; empty before `convert`.
        mismatches: Logits in which the chain differs from the unsplit model;
            None before `check`.
    """

    images: Mapping[str, int]
    exits: tuple[ExitMetrics, ...]
    policies: tuple[PolicyMetrics, ...]
    mismatches: int | None


def read(path: pathlib.Path) -> Metrics:
    """Reads metrics.json.

    Raises:
        ValueError: If there is no file, or it is not one of this version.
    """
    found = metrics_file.read(path)
    return Metrics(
        images=types.MappingProxyType(found["dataset"]),
        exits=tuple(map(_exit, found["exits"])),
        policies=tuple(map(_policy, found.get("routed", ()))),
        mismatches=found.get("chain", {}).get("mismatches"),
    )


def _exit(row: Mapping[str, Any]) -> ExitMetrics:
    return ExitMetrics(
        exit=row["exit"],
        madds=row["madds"],
        params=row["params"],
        accuracy=types.MappingProxyType(row["accuracy"]),
        latency_ms=row.get("latency_ms", {}).get("p50"),
    )


def _policy(row: Mapping[str, Any]) -> PolicyMetrics:
    return PolicyMetrics(
        policy=row["policy"],
        target=row["target"],
        ships=row["bundle"],
        accuracy=row["accuracy"],
        mean_madds=row["mean_madds"],
        exit_shares=tuple(row["exit_shares"]),
    )
