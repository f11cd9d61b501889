"""The reference file: what the metrics were when someone last agreed to them.

JSON, to be read and edited by people: `metrics` says what each number must be,
by how much it may differ, and which ones are known to be off, and why. `right`
below holds, per metric, which test images count, for the test on the same
images; see docs/gate.md.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline import workdir
from pipeline.gate import answers
from pipeline.gate.measured import Measured

FORMAT_VERSION = 1
LEVEL = 0.05

_KEYS = ("format_version", "config", "level", "test", "labels", "policies")
_KEYS += ("metrics", "layer_errors", "right")


@dataclasses.dataclass(frozen=True, eq=False)
class Expected:
    """What a metric must be.

    Attributes:
        value: The number.
        tolerance: What it may differ by, up or down.
        relative_tolerance: The same, as a share of `value`. The larger of both
            counts.
        xfail: Why the metric is known to fail; "" if it is not.
        right: Whether each test image counted, in the order of their names,
            bool [N], if the number is the share of those that did.
    """

    value: float
    tolerance: float = 0.0
    relative_tolerance: float = 0.0
    xfail: str = ""
    right: np.ndarray | None = None

    @property
    def allowed(self) -> float:
        """What the number may differ by."""
        return max(self.tolerance, self.relative_tolerance * abs(self.value))


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """The whole file.

    Attributes:
        config: Name of the configuration.
        level: A share of images has changed only if chance would change it as
            much with less than this probability.
        images: Number of test images.
        sha256: Tells which.
        labels: The bundle's.
        policies: What a policy was, by name: thresholds and so on.
        metrics: By name.
        layer_errors: Own error of each int8 layer; see tflite.layer_errors.
    """

    config: str
    level: float
    images: int
    sha256: str
    labels: tuple[str, ...]
    policies: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Expected]
    layer_errors: Mapping[str, float]


def read(path: pathlib.Path) -> Reference:
    """Reads a reference file.

    Raises:
        ValueError: If there is none, or it is not what `write` makes; naming
            the key.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`reference` must be a file that --update wrote: {error}"
        ) from error
    try:
        return _decoded(values)
    except KeyError as error:
        raise ValueError(
            f"`reference` {path} cannot be used: it lacks the key {error}"
        ) from error
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"`reference` {path} cannot be used: {error}"
        ) from error


def write(path: pathlib.Path, reference: Reference) -> None:
    """Writes a reference file, atomically."""
    metrics, right = {}, {}
    for name, each in reference.metrics.items():
        metrics[name] = {"value": each.value, "tolerance": each.tolerance}
        if each.relative_tolerance:
            metrics[name]["relative_tolerance"] = each.relative_tolerance
        if each.xfail:
            metrics[name]["xfail"] = each.xfail
        if each.right is not None:
            right[name] = answers.encode(each.right)
    values = (
        FORMAT_VERSION,
        reference.config,
        reference.level,
        {"images": reference.images, "sha256": reference.sha256},
        list(reference.labels),
        dict(reference.policies),
        metrics,
        dict(reference.layer_errors),
        right,
    )
    workdir.write_json(path, dict(zip(_KEYS, values, strict=True)))


def updated(
    old: Reference | None,
    measured: Measured,
    layer_errors: Mapping[str, float],
) -> Reference:
    """The reference that what was measured agrees with.

    The level, the tolerances and the reasons of an old one stay. So does the
    value of a metric that is known to fail: it is what is hoped for.
    """
    before = old.metrics if old else {}
    metrics = {}
    for name, now in measured.metrics.items():
        right = None if now.right is None else measured.in_order(now.right)
        last = before.get(name)
        if last is None:
            metrics[name] = Expected(
                now.value, now.tolerance, now.relative_tolerance, right=right
            )
        elif not last.xfail:
            metrics[name] = dataclasses.replace(
                last, value=now.value, right=right
            )
        elif old.sha256 == measured.sha256:
            metrics[name] = last
        else:
            # Nothing is known of these test images.
            metrics[name] = dataclasses.replace(last, right=None)
    return Reference(
        config=measured.config,
        level=old.level if old else LEVEL,
        images=len(measured.keys),
        sha256=measured.sha256,
        labels=tuple(measured.labels),
        policies={
            name: settings(policy.to_dict())
            for name, policy in measured.policies.items()
        },
        metrics=metrics,
        layer_errors=layer_errors,
    )


def settings(policy: Mapping[str, Any]) -> dict[str, Any]:
    """What of a policy, as its `to_dict` gives it, a reference holds."""
    names = ("kind", "temperatures", "thresholds", "enabled")
    return {name: policy[name] for name in names}


def _decoded(values: Any) -> Reference:
    _require(isinstance(values, dict), "the file", "be an object", values)
    _only(values, _KEYS, "the file")
    version = values["format_version"]
    _require(version == FORMAT_VERSION, "format_version", "be 1", version)
    level = _number(values["level"], "level")
    _require(0 < level < 1, "level", "lie between 0 and 1", level)
    images = values["test"]["images"]
    _require(
        isinstance(images, int) and images > 0,
        "test.images",
        "be a positive integer",
        images,
    )
    right = {
        name: answers.decode(text, images)
        for name, text in values["right"].items()
    }
    stray = ", ".join(right.keys() - values["metrics"].keys())
    _require(not stray, "right", "name metrics only", stray)
    return Reference(
        config=str(values["config"]),
        level=level,
        images=images,
        sha256=str(values["test"]["sha256"]),
        labels=tuple(map(str, values["labels"])),
        policies={k: dict(v) for k, v in values["policies"].items()},
        metrics={
            name: _expected(name, entry, right.get(name))
            for name, entry in values["metrics"].items()
        },
        layer_errors={
            name: _number(error, f"layer_errors.{name}")
            for name, error in values["layer_errors"].items()
        },
    )


def _expected(name: str, entry: Any, right: np.ndarray | None) -> Expected:
    where = f"metrics.{name}"
    _require(isinstance(entry, dict), where, "be an object", entry)
    _only(entry, ("value", "tolerance", "relative_tolerance", "xfail"), where)
    allowed = {
        key: _number(entry.get(key, 0.0), f"{where}.{key}")
        for key in ("tolerance", "relative_tolerance")
    }
    for key, number in allowed.items():
        _require(number >= 0, f"{where}.{key}", "be 0 or more", number)
    reason = entry.get("xfail", "")
    _require(
        "xfail" not in entry or (isinstance(reason, str) and reason.strip()),
        f"{where}.xfail",
        "say why the metric fails",
        repr(reason),
    )
    value = _number(entry["value"], f"{where}.value")
    return Expected(value, **allowed, xfail=reason, right=right)


def _number(value: Any, where: str) -> float:
    sound = isinstance(value, int | float) and not isinstance(value, bool)
    _require(sound and math.isfinite(value), where, "be a finite number", value)
    return value


def _only(values: Mapping, known: tuple[str, ...], where: str) -> None:
    stray = ", ".join(sorted(values.keys() - set(known)))
    _require(not stray, where, f"have only {', '.join(known)}", stray)


def _require(true: bool, where: str, rule: str, received: Any) -> None:
    if not true:
        raise ValueError(f"`{where}` must {rule}. Received: {received}")
