"""Compares the measured metrics with the reference.

The semantics are those of NNCF's conformance suite: a metric that got better
than its reference without anyone saying so fails too, since the reference no
longer tells the truth; and one that is known to fail must say why, and fails
once it does not fail any more.
"""

import dataclasses
from collections.abc import Collection

from pipeline.gate import mcnemar
from pipeline.gate.finding import Finding
from pipeline.gate.measured import Measured
from pipeline.gate.metric import Metric
from pipeline.gate.reference import Expected, Reference

# Differences of shares of whole images must not fail for a rounding.
_ROUNDING = 1e-9


def compare(reference: Reference, measured: Measured) -> list[Finding]:
    """Compares every metric that the reference or the measurement has.

    Raises:
        ValueError: If the two are of different test images.
    """
    if (reference.images, reference.sha256) != (
        len(measured.keys),
        measured.sha256,
    ):
        raise ValueError(
            "`reference` must be of the same test images: accuracies on others "
            "cannot be compared; --update makes it so. "
            f"Received: one of {reference.images} images "
            f"{reference.sha256[:12]}, for {len(measured.keys)} images "
            f"{measured.sha256[:12]}"
        )
    found = [_labels(reference, measured)]
    for name, expected in reference.metrics.items():
        if name not in measured.metrics:
            # To be gone is not to be off: no reason excuses it.
            found.append(_missing(name, expected))
            continue
        now = measured.metrics[name]
        if now.right is not None:
            ordered = measured.in_order(now.right)
            now = dataclasses.replace(now, right=ordered)
        finding = _compared(name, expected, now, reference.level)
        found.append(_known(finding, expected) if expected.xfail else finding)
    return found + new(measured, reference.metrics.keys())


def new(measured: Measured, known: Collection[str] = ()) -> list[Finding]:
    """Lists the metrics that no reference knows."""
    return [
        Finding(
            name, "new", f"{name} is not in the reference", measured=each.value
        )
        for name, each in measured.metrics.items()
        if name not in known
    ]


def _labels(reference: Reference, measured: Measured) -> Finding:
    before, now = reference.labels, tuple(measured.labels)
    if before == now:
        return Finding("labels", "passed")
    if len(before) != len(now):
        text = f"{len(now)} labels, {len(before)} in the reference"
    else:
        pairs = zip(before, now, strict=True)
        changed = [
            f"label {i} is {after!r}, {old!r} in the reference"
            for i, (old, after) in enumerate(pairs)
            if old != after
        ]
        text = "; ".join(changed[:5])
        if len(changed) > 5:
            text += f"; and {len(changed) - 5} more"
    return Finding("labels", "changed", text)


def _missing(name: str, expected: Expected) -> Finding:
    text = f"{name} is in the reference, but was not measured"
    return Finding(name, "missing", text, reference=expected.value)


def _compared(
    name: str, expected: Expected, now: Metric, level: float
) -> Finding:
    chance = None
    if expected.right is not None and now.right is not None:
        chance = mcnemar.p_value(expected.right, now.right)
    change = now.value - expected.value
    within = abs(change) <= expected.allowed + _ROUNDING * max(
        1.0, abs(expected.value)
    )
    status, text = "passed", ""
    if not within and (chance is None or chance < level):
        if not now.better:
            status = "changed"
        elif (change > 0) == (now.better == "higher"):
            status = "improvement"
        else:
            status = "regression"
        text = _sentence(name, status, expected, now, chance)
    return Finding(
        name, status, text, expected.value, now.value, expected.allowed, chance
    )


def _sentence(name, status, expected, now, chance):
    how = {
        "regression": "is worse than",
        "improvement": "is better than",
        "changed": "is not",
    }[status]
    text = (
        f"{name} {number(now.value)} {how} its reference "
        f"{number(expected.value)} (allowed: {expected.allowed:.4g}"
    )
    return (
        f"{text}; by chance: p = {chance:.2g})"
        if chance is not None
        else f"{text})"
    )


def _known(finding: Finding, expected: Expected) -> Finding:
    """Marks a finding as expected to fail, or as unexpected if it passes."""
    if finding.failed:
        text = f"{finding.text}; expected: {expected.xfail}"
        return dataclasses.replace(finding, status="expected", text=text)
    text = (
        f"{finding.metric} passes, but is marked xfail: {expected.xfail}; "
        "remove the mark"
    )
    return dataclasses.replace(finding, status="unexpected", text=text)


def number(value: float | None) -> str:
    """Formats a metric: counts as they are, shares to four digits."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.1f}"
