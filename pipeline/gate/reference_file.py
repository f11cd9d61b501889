"""Reads and writes a reference file: JSON, which people read and edit.

`metrics` says what each number must be, by how much it may differ, and which
ones are known to be off, and why. `right` below holds, per metric, which test
images count, for the test on the same images. `checksum` covers the
measured numbers, and not those that people decide; see docs/gate.md.
"""

import pathlib
import re
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.gate import answers, metric, said_twice
from pipeline.gate.reference import Expected, Reference
from pipeline.storage import publishing
from tflite.format import files, strict_json

FORMAT_VERSION = 2
# One of 50,000 test images, ten exits and three models has a third of it.
_MAX_BYTES = 2**24

_KEYS = ("format_version", "config", "level", "test", "labels", "policies")
_KEYS += ("metrics", "layer_errors", "right", "checksum")
_POLICY = ("kind", "temperatures", "thresholds", "enabled")
_SHA256 = re.compile("[0-9a-f]{64}")


def read(path: pathlib.Path, *, for_update: bool = False) -> Reference:
    """Reads a reference file.

    Args:
        path: The file.
        for_update: Whether the numbers of the file are about to be replaced.
            Then the file may be of an earlier version, or edited by hand.

    Raises:
        ValueError: If there is no file, or it is not what `write` makes;
            naming the key.
    """
    try:
        values = strict_json.decode(files.read(path, _MAX_BYTES))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`reference` {path} must be a file that --update wrote: {error}"
        ) from error
    try:
        found = _decoded(values, for_update)
        if for_update:
            said_twice.check_shares(
                {k: v for k, v in found.metrics.items() if v.xfail}
            )
        else:
            said_twice.check(found)
            said_twice.check_sum(found, values["checksum"])
        return found
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
        said_twice.checksum(reference),
    )
    publishing.write_json(path, dict(zip(_KEYS, values, strict=True)))


def _decoded(values: Any, for_update: bool) -> Reference:
    _require(isinstance(values, dict), "the file", "be an object", values)
    version = values["format_version"]
    earlier = type(version) is int and version == 1
    _require(
        for_update or not earlier,
        "format_version",
        f"be {FORMAT_VERSION}: an earlier release wrote the file, without a "
        "checksum; run this check once with --update, which keeps `level`, "
        "tolerances and `xfail`, and read what has changed",
        version,
    )
    _require(
        earlier or (type(version) is int and version == FORMAT_VERSION),
        "format_version",
        f"be {FORMAT_VERSION}",
        version,
    )
    _only(values, _KEYS[:-1] if earlier else _KEYS, "the file")
    config = values["config"]
    _require(isinstance(config, str), "config", "be text", config)
    level = _number(values["level"], "level")
    _require(0 < level < 1, "level", "lie between 0 and 1", level)
    images, sha256 = values["test"]["images"], values["test"]["sha256"]
    _only(values["test"], ("images", "sha256"), "test")
    _require(
        type(images) is int and images > 0,
        "test.images",
        "be a positive integer",
        images,
    )
    _require(
        isinstance(sha256, str) and _SHA256.fullmatch(sha256) is not None,
        "test.sha256",
        "be 64 hexadecimal digits",
        sha256,
    )
    metrics, right = values["metrics"], {}
    for name, text in values["right"].items():
        _require(name in metrics, "right", "name metrics only", name)
        right[name] = _right(text, images, f"right.{name}")
    return Reference(
        config=config,
        level=level,
        images=images,
        sha256=sha256,
        labels=tuple(_list(values["labels"], "labels", str)),
        policies={
            name: _policy(each, f"policies.{name}")
            for name, each in values["policies"].items()
        },
        metrics={
            _text(name, "metrics"): _expected(name, entry, right.get(name))
            for name, entry in metrics.items()
        },
        layer_errors={
            name: _number(error, f"layer_errors.{name}")
            for name, error in values["layer_errors"].items()
        },
    )


def _right(text: Any, images: int, where: str) -> np.ndarray:
    try:
        found = answers.decode(text, images)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{where}` cannot be read: {error}") from error
    # Bits beyond the last image, or characters that decode to nothing.
    _require(
        answers.encode(found) == text,
        where,
        "be written as --update writes it",
        text,
    )
    return found


def _policy(entry: Any, where: str) -> dict[str, Any]:
    _require(isinstance(entry, dict), where, "be an object", entry)
    _only(entry, _POLICY, where)
    found = {
        "kind": _text(entry["kind"], f"{where}.kind"),
        "temperatures": [
            _number(each, f"{where}.temperatures")
            for each in _list(entry["temperatures"], f"{where}.temperatures")
        ],
        "thresholds": [
            _number(each, f"{where}.thresholds")
            for each in _list(entry["thresholds"], f"{where}.thresholds")
        ],
        "enabled": _list(entry["enabled"], f"{where}.enabled", bool),
    }
    lengths = [len(found[key]) for key in _POLICY[1:]]
    _require(
        len(set(lengths)) == 1 and 0 not in lengths,
        where,
        f"have lists of one length, {', '.join(_POLICY[1:])}",
        f"lengths {lengths}",
    )
    return found


def _expected(name: str, entry: Any, right: np.ndarray | None) -> Expected:
    where = f"metrics.{name}"
    _require(isinstance(entry, dict), where, "be an object", entry)
    _only(entry, ("value", "tolerance", "relative_tolerance", "xfail"), where)
    value = _number(entry["value"], f"{where}.value")
    tolerance, relative = (
        _number(entry.get(key, 0.0), f"{where}.{key}")
        for key in ("tolerance", "relative_tolerance")
    )
    _require(tolerance >= 0, f"{where}.tolerance", "be 0 or more", tolerance)
    # What may be off by all that there is cannot fail.
    _require(
        0 <= relative < 1,
        f"{where}.relative_tolerance",
        "be a share of `value`, 0 or more and less than 1; `tolerance` can "
        "be any number",
        relative,
    )
    if metric.is_share(name):
        rule = "be a share of the images, from 0 to 1"
        _require(0 <= value <= 1, f"{where}.value", rule, value)
        rule = "be a share of the images, less than 1: half a point is 0.005"
        _require(tolerance < 1, f"{where}.tolerance", rule, tolerance)
    reason = entry.get("xfail", "")
    if "xfail" in entry:
        rule = "say why the metric fails"
        sound = isinstance(reason, str) and reason.strip()
        _require(sound, f"{where}.xfail", rule, repr(reason))
        reason = _text(" ".join(reason.split()), f"{where}.xfail")
    return Expected(value, tolerance, relative, reason, right)


def _number(value: Any, where: str) -> float:
    # Other than math.isfinite, a comparison takes integers of any size.
    _require(
        type(value) in (int, float) and abs(value) <= sys.float_info.max,
        where,
        "be a finite number",
        str(value)[:40],
    )
    return value


def _text(value: Any, where: str) -> str:
    _require(
        isinstance(value, str) and value.isprintable(),
        where,
        "be text that can be printed, in one line",
        repr(value),
    )
    return value


def _list(value: Any, where: str, kind: type | None = None) -> list:
    sound = isinstance(value, list) and (
        kind is None or all(type(each) is kind for each in value)
    )
    of = f" of {kind.__name__}" if kind else ""
    _require(sound, where, f"be a list{of}", value)
    return value


def _only(values: Mapping, known: tuple[str, ...], where: str) -> None:
    stray = ", ".join(sorted(values.keys() - set(known)))
    _require(not stray, where, f"have only {', '.join(known)}", stray)


def _require(true: object, where: str, rule: str, received: Any) -> None:
    if not true:
        raise ValueError(f"`{where}` must {rule}. Received: {received}")
