"""Finds contradictions in a reference, as in a file merged by hand.

Some things are said twice. A share is in `value` and in the images that `right`
counts; how many exits there are is in the lists of each policy and in the names
of the metrics; the names of the policies are in `policies` and in the names of
the metrics. All that was measured is in `checksum` once more.

A metric that is known to fail keeps an older value, so that different metrics
cannot be compared image by image.
"""

import re
from collections.abc import Mapping

from pipeline.gate import answers
from pipeline.gate.reference import Expected, Reference
from pipeline.storage import fingerprint

_ROUNDING = 1e-9
_EXIT = re.compile(r"exit_(\d+)\.")
_OF_POLICIES = ("accuracy", "mean_madds")
_MENDED = "take one version of the file whole, or run --update"


def check(reference: Reference) -> None:
    """Compares the facts that a reference states twice.

    Raises:
        ValueError: If two statements differ, naming the field.
    """
    check_shares(reference.metrics)
    exits = {int(m[1]) for m in map(_EXIT.match, reference.metrics) if m}
    for name, policy in reference.policies.items():
        count = len(policy["thresholds"])
        if exits != set(range(count)):
            raise ValueError(
                f"`policies.{name}` must have as many exits as `metrics` "
                f"names; {_MENDED}. Received: {count} thresholds, exits "
                f"{', '.join(map(str, sorted(exits))) or 'none'}"
            )
    expected = {
        f"policy_{name}.{fact}"
        for name in reference.policies
        for fact in _OF_POLICIES
    }
    named = {each for each in reference.metrics if each.startswith("policy_")}
    if off := sorted(expected ^ named):
        raise ValueError(
            f"`policies` must name the policies that `metrics` has; {_MENDED}. "
            f"Received: only one of them has {', '.join(off)}"
        )


def check_shares(metrics: Mapping[str, Expected]) -> None:
    """Compares each share with the images that count.

    Raises:
        ValueError: If a share is not that of its images, naming the metric.
    """
    for name, each in metrics.items():
        if each.right is None:
            continue
        share = float(each.right.mean())
        if abs(each.value - share) > _ROUNDING:
            raise ValueError(
                f"`metrics.{name}.value` must be the share of the images that "
                f"`right` counts, {share:.4f}; {_MENDED}. "
                f"Received: {each.value}"
            )


def check_sum(reference: Reference, received: object) -> None:
    """Compares the file's checksum with that of the measured numbers.

    Raises:
        ValueError: If the checksum is another one.
    """
    if received != checksum(reference):
        raise ValueError(
            "`checksum` must be that of what was measured; only `level`, "
            "`tolerance`, `relative_tolerance` and `xfail` may be edited by "
            f"hand or merged; {_MENDED}. Received: {received}"
        )


def checksum(reference: Reference) -> str:
    """Hashes the measured numbers, not those that people decide, to hex.

    Numbers are hashed as floats, so that 1 and 1.0 are the same.
    """
    return fingerprint.of(
        reference.config,
        [reference.images, reference.sha256],
        list(reference.labels),
        {
            name: {
                "kind": policy["kind"],
                "temperatures": [float(x) for x in policy["temperatures"]],
                "thresholds": [float(x) for x in policy["thresholds"]],
                "enabled": [bool(x) for x in policy["enabled"]],
            }
            for name, policy in reference.policies.items()
        },
        {
            name: [
                float(each.value),
                None if each.right is None else answers.encode(each.right),
            ]
            for name, each in reference.metrics.items()
        },
        {k: float(error) for k, error in reference.layer_errors.items()},
    )
