"""Holds the numbers that the gate compares with a reference."""

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np

from keras_dynamic import exits
from pipeline.gate import metric
from pipeline.gate.metric import Metric


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """Holds an experiment as it is now.

    Attributes:
        config: Name of the configuration.
        keys: Names of the N test images.
        labels: Class names of the bundle.
        policies: Policies of the bundle, by name; "default" unless asked for
            another one.
        metrics: Metrics by name.
        truth: int [N], the classes of the test images.
        answers: {"float", "int8", "qat"}: int [K, N], the answer
            of each exit.
    """

    config: str
    keys: Sequence[str]
    labels: Sequence[str]
    policies: Mapping[str, exits.Policy]
    metrics: Mapping[str, Metric]
    truth: np.ndarray
    answers: Mapping[str, np.ndarray]

    @property
    def sha256(self) -> str:
        """Hashes the names of the test images, whatever their order."""
        names = "\n".join(sorted(self.keys))
        return hashlib.sha256(names.encode()).hexdigest()

    def in_order(self, right: np.ndarray) -> np.ndarray:
        """Sorts one value per image by the images' names."""
        return right[sorted(range(len(self.keys)), key=self.keys.__getitem__)]


def finite(measured: Measured) -> tuple[Measured, list[str]]:
    """Drops metrics that are no finite numbers, and says each in a sentence."""
    strange = {
        name: f"{name} is {each.value}, which is no finite number"
        for name, each in measured.metrics.items()
        if not math.isfinite(each.value)
    }
    kept = {k: v for k, v in measured.metrics.items() if k not in strange}
    return dataclasses.replace(measured, metrics=kept), list(strange.values())


def of_exits(
    truth: np.ndarray, answers: Mapping[str, np.ndarray]
) -> dict[str, Metric]:
    """Returns the accuracy of every exit, and how often int8 agrees with float.

    Args:
        truth: int [N], the classes of the test images.
        answers: {"float", "qat", "int8"}: int [K, N], the answer of each exit.

    Returns:
        `exit_{k}.{float,qat,int8}_accuracy` and `exit_{k}.agreement`.
    """
    found = {}
    for k in range(len(answers["float"])):
        said = {kind: answers[kind][k] for kind in ("float", "qat", "int8")}
        for kind, each in said.items():
            found[f"exit_{k}.{kind}_accuracy"] = metric.share(each == truth)
        found[f"exit_{k}.agreement"] = metric.share(
            said["int8"] == said["float"]
        )
    return found


def of_logits(before: np.ndarray, after: np.ndarray) -> dict[str, Metric]:
    """Returns how far the int8 logits are from the float logits.

    Logits move long before a decision does.

    Args:
        before: Logits of the float model, [K, N, C].
        after: Logits of the int8 model, dequantized, [K, N, C].

    Returns:
        `exit_{k}.logit_error`: the root of the mean square of the differences,
        as a share of the root of the mean square of the float logits.
    """
    found = {}
    for k, (floats, int8) in enumerate(zip(before, after, strict=True)):
        floats = floats.astype(np.float64)
        signal = float(np.linalg.norm(floats)) or 1.0
        error = float(np.linalg.norm(int8 - floats)) / signal
        found[f"exit_{k}.logit_error"] = metric.distance(error)
    return found


def of_policies(
    policies: Mapping[str, exits.Policy],
    truth: np.ndarray,
    logits: np.ndarray,
    madds: np.ndarray,
) -> dict[str, Metric]:
    """Returns accuracy and cost of images that stop where policies let them.

    Args:
        policies: Policies by name.
        truth: int [N], the classes of the test images.
        logits: Logits of the int8 model, dequantized, [K, N, C].
        madds: Multiply-adds that the chain ran up to each exit, [N, K].

    Returns:
        `policy_{name}.accuracy` and `policy_{name}.mean_madds`.
    """
    found, rows = {}, np.arange(len(truth))
    right = logits.argmax(-1) == truth
    for name, policy in policies.items():
        taken = policy.route(logits)
        found[f"policy_{name}.accuracy"] = metric.share(right[taken, rows])
        found[f"policy_{name}.mean_madds"] = metric.cost(
            float(madds[rows, taken].mean())
        )
    return found
