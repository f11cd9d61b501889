"""Times contestants side by side, image by image, in random order."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from tflite.runtime.harness import Harness
from tflite.timing.contestants import Runner


@dataclasses.dataclass(frozen=True, eq=False)
class Times:
    """Holds the milliseconds of a contestant in each of `runs` rounds.

    Attributes:
        call: From pixels to outputs, [runs].
        kernel: Of these, inside the runtime, [runs].
        segments: Of each model that it ran, with what is copied between them,
            [runs, S]; 0.0 where one did not run.
        segment_kernels: Of these, inside the runtime, [runs, S].
    """

    call: np.ndarray
    kernel: np.ndarray
    segments: np.ndarray
    segment_kernels: np.ndarray

    @property
    def harness(self) -> np.ndarray:
        """Returns the milliseconds outside of kernels, [runs].

        They go into preparing, copying, deciding, and Python.
        """
        return self.call - self.kernel


@dataclasses.dataclass(frozen=True, eq=False)
class Rounds:
    """Holds what was measured; in each round one image went through all.

    Attributes:
        images: Index of each round's image, [runs].
        times: Of each contestant, by name.
    """

    images: np.ndarray
    times: dict[str, Times]


def measure(
    runners: Mapping[str, Runner],
    images: np.ndarray,
    *,
    warmup: int,
    runs: int,
    seed: int,
) -> Rounds:
    """Runs every contestant once in each round, on the same image.

    Images come in random order, again and again if there are fewer than
    rounds. So do the contestants, in an order of its own in every round: none
    of them always finds the caches as the same other one left them, and what
    slows the machine down for a while slows all of them.

    Args:
        runners: Loaded contestants, by name.
        images: uint8 [N, H, W, C].
        warmup: Rounds that are not counted.
        runs: Rounds that are counted.
        seed: Of both orders.

    Raises:
        ValueError: If `runs` is not positive, `warmup` is negative, or there
            are no images.
    """
    _check_rounds(images, warmup, runs)
    rng = np.random.default_rng(seed)
    chosen = np.resize(rng.permutation(len(images)), warmup + runs)
    names = list(runners)
    calls = {name: [] for name in names}
    for i, index in enumerate(chosen):
        for j in rng.permutation(len(names)):
            call = runners[names[j]](images[index])
            if i >= warmup:
                # Not the outputs, which nobody wants.
                calls[names[j]].append(call[1:])
    times = {}
    for name, found in calls.items():
        spent, kernels, segments = map(np.array, zip(*found, strict=True))
        times[name] = Times(spent, kernels.sum(axis=1), segments, kernels)
    return Rounds(chosen[warmup:], times)


def exit_times(
    harness: Harness, images: np.ndarray, *, warmup: int, runs: int
) -> np.ndarray:
    """Times the chain alone, up to each exit.

    Args:
        harness: The chain.
        images: uint8 [N, H, W, C]; gone through again and again.
        warmup: Rounds that are not counted.
        runs: Rounds that are counted.

    Returns:
        Milliseconds, [runs, K].

    Raises:
        ValueError: As `measure`.
    """
    _check_rounds(images, warmup, runs)
    spent = [
        [sum(reached.segment_ms) for reached in harness.exits(image)]
        for image in (images[i % len(images)] for i in range(-warmup, runs))
    ]
    return np.cumsum(spent[warmup:], axis=1)


def _check_rounds(images: np.ndarray, warmup: int, runs: int) -> None:
    if runs < 1 or warmup < 0 or not len(images):
        raise ValueError(
            "`runs` and the number of `images` must be positive, `warmup` not "
            f"negative. Received: runs={runs}, warmup={warmup}, "
            f"{len(images)} images"
        )


def summary(values: np.ndarray) -> dict[str, float]:
    """Returns the mean, and the 50th, 90th and 99th percentiles."""
    found = {"mean": float(np.mean(values))}
    for p in (50, 90, 99):
        found[f"p{p}"] = float(np.percentile(values, p))
    return found
