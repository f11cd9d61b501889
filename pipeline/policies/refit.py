"""Fits another policy to what a bundle recorded, without model or images.

The scores that are compared with the thresholds stay those of the bundle's own
policy: its kind, temperatures and scheduler. The thresholds are solved for
anew.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_dynamic import exits
from tflite import bundle
from tflite.bundle import recorded_logits
from tflite.runtime.harness import Harness
from tflite.timing import latency

_WARMUP, _RUNS = 50, 300


@dataclasses.dataclass(frozen=True)
class Refit:
    """Holds a policy, and its results on the calibration images.

    Attributes:
        policy: The policy; its fact "promise" says that nothing is promised of
            other images.
        images: Number of calibration images.
        accuracy: Share of right answers.
        exit_shares: Share of images that stop at each exit, [K].
        mean_madds: Multiply-adds per image; with gates those that ran.
        mean_ms: Milliseconds per image; None if those of the exits are not
            known.
        last: The results of the policy that lets every image go to the last
            exit.
        better_exit: The exit that alone is more accurate for all images and
            costs no more; None if there is none.
    """

    policy: exits.Policy
    images: int
    accuracy: float
    exit_shares: tuple[float, ...]
    mean_madds: float
    mean_ms: float | None
    last: "Refit | None" = None
    better_exit: int | None = None


def refit(
    opened: bundle.Bundle,
    *,
    max_drop: float | None = None,
    budget: float | None = None,
    exit_ms: Sequence[float] | None = None,
) -> Refit:
    """Finds the cheapest policy for an accuracy, or the best for a budget.

    Costs are milliseconds if those of the exits are given, else multiply-adds.
    With gates these depend on the image: a policy is sought as if each cost at
    an exit what all do in the mean; `Refit.mean_madds` counts what really ran.

    Args:
        opened: The bundle.
        max_drop: Accuracy that may be lost against the last exit, a share of
            the images, as for `exits.budgeted_drop`.
        budget: The highest mean cost, as for `exits.cost_budget`; one of
            the two must be given.
        exit_ms: Milliseconds up to each exit, [K].

    Raises:
        ValueError: If an argument is not as said, no policy keeps the budget,
            or the bundle has one exit only or no sound calibration file.
    """
    if (max_drop is None) == (budget is None):
        raise ValueError(
            "One of `max_drop` and `budget` must be given. "
            f"Received: {max_drop} and {budget}"
        )
    count = len(opened.ends)
    if count < 2:
        raise ValueError(
            "`bundle` must have two exits or more: with one there is nothing "
            f"to fit. Received: {opened.directory}"
        )
    if exit_ms is not None and len(exit_ms) != count:
        raise ValueError(
            f"`exit_ms` must hold one per exit, {count} in all. "
            f"Received: {list(exit_ms)}"
        )
    recorded = recorded_logits.read(opened)
    madds = _madds(opened, recorded)
    costs = madds.mean(axis=0) if exit_ms is None else list(exit_ms)
    with Harness(opened.directory) as harness:
        logits = [
            harness.dequantize(exit, raw)
            for exit, raw in enumerate(recorded.logits)
        ]
    own = opened.policy
    images = exits.calibrate(
        logits,
        recorded.labels,
        costs,
        own.temperatures,
        kind=own.kind,
        scheduler=own.scheduler,
    )
    unit = "multiply-adds" if exit_ms is None else "ms"
    if budget is None:
        found = exits.budgeted_drop(images, max_drop)
    else:
        _check_budget(budget, costs[0], unit)
        found = exits.cost_budget(images, budget)
    # The scores are of temperatures that may come from these very images, so a
    # bound for others could not be stated (`exits.promised_drop`).
    policy = found.with_facts(
        unit=unit,
        promise="nothing of new images: what was asked for holds of the "
        f"{len(recorded.labels)} calibration images",
    ).policy

    def given(policy: exits.Policy, last: Refit | None = None) -> Refit:
        taken = policy.route(logits)
        got = exits.tally(taken, images.right, images.costs)
        return Refit(
            policy=policy,
            images=len(taken),
            accuracy=got.accuracy,
            exit_shares=got.exit_shares,
            mean_madds=float(madds[np.arange(len(taken)), taken].mean()),
            mean_ms=None if exit_ms is None else got.mean_cost,
            last=last,
            better_exit=exits.better_exit(images, policy),
        )

    return given(policy, given(exits.last_exit(own.temperatures)))


def measure(opened: bundle.Bundle) -> list[float]:
    """Returns the median milliseconds up to each exit, [K], on this machine.

    It runs images of noise on one thread: the time of a chain without gates
    does not depend on the image.

    Raises:
        ValueError: If the bundle has gates.
    """
    if opened.gated:
        raise ValueError(
            "`exit_ms` must be given for a bundle with gates: its time depends "
            "on the images, which are not in the bundle"
        )
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (4, *opened.input.shape), np.uint8)
    with Harness(opened.directory) as harness:
        times = latency.exit_times(harness, noise, warmup=_WARMUP, runs=_RUNS)
    return np.median(times, axis=0).tolist()


def _madds(
    opened: bundle.Bundle, recorded: recorded_logits.Recorded
) -> np.ndarray:
    """Returns what each image costs up to each exit, [N, K]."""
    if recorded.madds is not None:
        return recorded.madds
    return np.tile(np.array(opened.madds), (len(recorded.labels), 1))


def _check_budget(budget: float, least: float, unit: str) -> None:
    if not least <= budget < np.inf:
        raise ValueError(
            f"`budget` must be a finite number of {unit}, at least the first "
            f"exit's, {least:.6g}: no policy costs less. Received: {budget:g}"
        )
