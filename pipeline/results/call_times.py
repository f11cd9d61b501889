"""Tells what a whole call of the harness takes, for any policy.

The benchmark times the segments in the chain, and whole calls under the
bundle's own policy. A call is more than its segments: the image is prepared,
tensors are copied, and policies decide. What the calls took beyond their
segments is added to the segments of every other policy, so that all of these
times are of the same kind as those of the unsplit model: from pixels to the
answer, in one run.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def up_to_exits(metrics: Mapping[str, Any]) -> list[float] | None:
    """Returns the mean milliseconds of a call that stops at each exit, [K].

    Weighted by the exit shares of the bundle's policy they give the mean that
    was measured under it.

    Args:
        metrics: The content of metrics.json.

    Returns:
        None if calls under the bundle's policy, or its segments, were not
        timed.
    """
    segments = [_mean(each, "latency_ms") for each in metrics["exits"]]
    routed = _mean(metrics, "routed_latency_ms")
    shipped = next(
        (row for row in metrics.get("routed", ()) if row.get("bundle")), None
    )
    if None in segments or routed is None or shipped is None:
        return None
    beyond = routed - of_shares(shipped["exit_shares"], segments)
    return [each + beyond for each in segments]


def of_policies(metrics: Mapping[str, Any]) -> list[float | None]:
    """Returns the mean milliseconds of a call under each policy.

    They are in the order of "routed", and None where `up_to_exits` is.

    Args:
        metrics: The content of metrics.json, with policies.
    """
    times = up_to_exits(metrics)
    return [
        times and of_shares(row["exit_shares"], times)
        for row in metrics["routed"]
    ]


def of_shares(shares: Sequence[float], times: Sequence[float]) -> float:
    """Returns the mean time of images of which shares stop at each exit.

    Args:
        shares: Share of the images that stop at each exit, [K].
        times: Milliseconds of a call that stops there, [K].
    """
    pairs = zip(shares, times, strict=True)
    return sum(share * each for share, each in pairs)


def _mean(measured: Mapping[str, Any], key: str) -> float | None:
    return (measured.get(key) or {}).get("mean")
