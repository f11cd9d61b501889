"""Carries out `keras-dynamic inspect`: prints what is in a bundle."""

import collections
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.cli import columns
from pipeline.processes import printing
from tflite import bundle
from tflite.diagnosis import inspection

_VALUE = 200  # Characters of one that is free-form; --json has it whole.


def run(flags, positional: Sequence[str]) -> None:
    """Prints a bundle's segments, tensors, operators, sizes and policies.

    Raises:
        ValueError: If it is not one bundle, or a part of it is not sound.
    """
    if len(positional) != 1:
        raise ValueError(
            "keras-dynamic inspect takes one bundle. "
            f"Received: {' '.join(positional) or 'none'}"
        )
    report = inspection.report(bundle.read(positional[0]))
    if flags.json:
        printing.show_json(report)
    else:
        printing.show(text(report))


def text(report: Mapping[str, Any]) -> str:
    """Returns the report of `inspection.report` as tables of 100 columns."""
    report = printing.visible_values(report)
    numbers = _numbers(report["segments"])
    parts = [
        _head(report),
        _exits(report),
        _segments(report, numbers),
        _operators(report["segments"]),
        _tensors(report["segments"], numbers),
        *_policies(report),
        _pairs("provenance", _flat(report["provenance"])),
    ]
    return "\n\n".join(parts)


def _head(report: Mapping[str, Any]) -> str:
    facts = report["input"]
    height, width, channels = facts["shape"]
    fit = facts["fit"]
    labels = report["labels"]
    calibration = report["calibration"]
    archive = report["archive_bytes"]
    rows = {
        "bundle": report["name"],
        "image": f"{height} x {width} x {channels}, {facts['dtype']}, scale "
        f"{facts['scale']:.6g}, zero point {facts['zero_point']}",
        "photographs": f"scaled to cover {fit['stored_size']} x "
        f"{fit['stored_size']}, {fit['resampling']}, {fit['crop']} crop",
        "labels": f"{len(labels)}: {', '.join(labels[: columns.WIDTH])}",
        "archive": "none" if archive is None else f"{archive:,} bytes",
        "calibration": (
            "none: policies cannot be refitted"
            if calibration is None
            else f"{calibration['file']}, {calibration['bytes']:,} bytes"
        ),
    }
    if report["not_in_manifest"]:
        names = report["not_in_manifest"]
        rows["foreign"] = (
            f"{len(names)}, which the manifest does not name: "
            f"{', '.join(names[: columns.WIDTH])}"
        )
    return "\n".join(
        f"{key:12} {_shortened(value, columns.WIDTH - 13)}"
        for key, value in rows.items()
    )


def _exits(report: Mapping[str, Any]) -> str:
    rows = [("up to exit", "multiply-adds", "parameters", "bytes", "crossing")]
    rows += [
        (
            str(each["exit"]),
            f"{each['madds']:,}",
            f"{each['params']:,}",
            f"{each['bytes']:,}",
            f"{each['crossing']['bytes']:,}",
        )
        for each in report["exits"]
    ]
    said = "crossing: bytes per image that what follows the exit reads."
    return f"{columns.table(rows, '>>>>>')}\n{said}"


def _segments(report: Mapping[str, Any], numbers: Mapping[str, int]) -> str:
    rows = [
        (
            "#",
            "segment",
            "exit",
            "gate",
            "place",
            "multiply-adds",
            "parameters",
            "bytes",
            "ops",
            "XNNPACK",
            "left",
        )
    ]
    for place, each in enumerate(report["segments"]):
        taken = each["delegation"]
        rows.append(
            (
                str(place),
                each["file"],
                "" if each["exit"] is None else str(each["exit"]),
                _runs_if(each, numbers),
                each["place"] or "",
                f"{each['madds']:,}",
                f"{each['params']:,}",
                f"{each['bytes']:,}",
                str(taken["operators"]),
                str(taken["partitions"]),
                str(len(taken["left"])),
            )
        )
    said = "XNNPACK: partitions that it runs; left: operators that it leaves."
    return f"{columns.table(rows, '><>><>>>>>>', flexible=1)}\n{said}"


def _runs_if(segment: Mapping[str, Any], numbers: Mapping[str, int]) -> str:
    if segment["bypass"]:
        return "else"
    gate = segment["gate"]
    return "" if gate is None else f"t{numbers[gate]}"


def _operators(segments: Sequence[Mapping[str, Any]]) -> str:
    total = collections.Counter()
    left = collections.Counter()
    for each in segments:
        total.update(each["operators"])
        left.update(each["delegation"]["left"])
    rows = [("operator", "all", "left by XNNPACK", "in segments")]
    for kind, count in total.most_common():
        places = [
            f"{place}: {each['operators'][kind]}"
            for place, each in enumerate(segments)
            if kind in each["operators"]
        ]
        rows.append(
            (
                kind,
                str(count),
                str(left[kind] or ""),
                _shortened(", ".join(places), 40),
            )
        )
    return columns.table(rows, "<>><")


def _tensors(
    segments: Sequence[Mapping[str, Any]], numbers: Mapping[str, int]
) -> str:
    readers = collections.defaultdict(list)
    facts, origins = {}, collections.defaultdict(list)
    for place, each in enumerate(segments):
        for tensor in each["inputs"]:
            readers[tensor["name"]].append(str(place))
            facts.setdefault(tensor["name"], tensor)
        for tensor in each["outputs"]:
            facts[tensor["name"]] = tensor
            origins[tensor["name"]].append(str(place))
    rows = [("", "tensor", "shape", "type", "scale", "zero", "from", "to")]
    for name, number in numbers.items():
        tensor = facts[name]
        scale, zero = tensor["scale"], tensor["zero_point"]
        rows.append(
            (
                f"t{number}",
                _name(name),
                _shortened("x".join(map(str, tensor["shape"])), 24),
                tensor["dtype"],
                "" if scale is None else f"{scale:.4g}",
                "" if zero is None else str(zero),
                _shortened(" ".join(origins[name]), 12),
                _shortened(" ".join(readers[name]), 12),
            )
        )
    return columns.table(rows, "><<<>>><", flexible=1)


def _name(name: str) -> str:
    """Returns the first of the names that a converter joined: it tells most."""
    return name.split(";")[0]


def _numbers(segments: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Numbers all tensors between segments in the order of the chain."""
    names = [
        tensor["name"]
        for each in segments
        for tensor in (*each["inputs"], *each["outputs"])
    ]
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _policies(report: Mapping[str, Any]) -> list[str]:
    named = {"policy": report["policy"]} | {
        f"operating point {name}": point
        for name, point in report["operating_points"].items()
    }
    found = []
    for title, policy in named.items():
        fitted = policy.get("fitted") or {}
        if fitted:
            fitted = {**fitted, "promise": _promise(fitted)}
        facts = {"kind": policy["kind"]} | {
            key: f"{value:.6g}" if type(value) is float else value
            for key, value in fitted.items()
        }
        rows = [("exit", "temperature", "threshold")]
        rows += [
            (str(exit), f"{temperature:.4f}", f"{bar:.4f}" if on else "off")
            for exit, (temperature, bar, on) in enumerate(
                zip(
                    policy["temperatures"],
                    policy["thresholds"],
                    policy["enabled"],
                    strict=True,
                )
            )
        ]
        found.append(_pairs(title, facts) + "\n" + columns.table(rows, ">>>"))
    return found


def _promise(fitted: Mapping[str, Any]) -> str:
    """Returns what holds of new images, by what the manifest says."""
    return fitted.get("promise", "nothing of new images")


def _pairs(title: str, facts: Mapping[str, Any]) -> str:
    words = ", ".join(
        f"{_shortened(key, 40)} {_shortened(str(value), _VALUE)}"
        for key, value in list(facts.items())[: columns.WIDTH]
    )
    return textwrap.fill(
        f"{title}: {words}", columns.WIDTH, subsequent_indent="  "
    )


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values in one dict, inner dicts' values by their own keys."""
    found = {}
    for key, value in values.items():
        found |= value if isinstance(value, dict) else {key: value}
    return found


def _shortened(words: str, width: int) -> str:
    """Leaves out the end of a text that is too long."""
    # To shorten megabytes takes seconds.
    words = words[: 4 * width]
    return textwrap.shorten(words, width, placeholder=" ..")
