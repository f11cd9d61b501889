"""Times a bundle's chain against the unsplit model, side by side."""

import dataclasses
import time

import numpy as np

from tflite.harness import Harness
from tflite.unsplit import Unsplit


@dataclasses.dataclass(frozen=True, eq=False)
class Times:
    """Milliseconds of `runs` rounds; in each round one image went through all.

    Attributes:
        images: Index of each round's image, [runs].
        segments: Of each segment, to the last exit, [runs, S]; 0.0 where a
            gate skipped it.
        chain: Of the chain to the last exit, input and logits included,
            [runs]; gates skip segments in it, too.
        unsplit: Of the unsplit model, likewise, [runs].
        routed: Of the chain under the bundle's policy, [runs].
    """

    images: np.ndarray
    segments: np.ndarray
    chain: np.ndarray
    unsplit: np.ndarray
    routed: np.ndarray


def measure(
    harness: Harness,
    unsplit: Unsplit,
    images: np.ndarray,
    *,
    warmup: int,
    runs: int,
) -> Times:
    """Runs chain, unsplit model and routed chain in turn, image by image.

    The order turns with every round, so that none of the three always finds
    the caches as the same other one left them.

    Args:
        harness: The chain.
        unsplit: The model it was cut from.
        images: uint8 [N, H, W, C]; gone through again and again.
        warmup: Rounds that are not counted.
        runs: Rounds that are.

    Raises:
        ValueError: If `runs` is not positive, `warmup` is negative, or there
            are no images.
    """
    _check_rounds(images, warmup, runs)
    indices = np.arange(runs) % len(images)
    segments, chain, whole, routed = [], [], [], []
    spent = {}

    def full():
        spent["segments"] = [
            ms for reached in harness.exits(image) for ms in reached.segment_ms
        ]

    def uncut():
        unsplit.logits(image)

    def stopping():
        harness.classify(image)

    contestants = [(full, chain), (uncut, whole), (stopping, routed)]
    for i in range(-warmup, runs):
        image = images[i % len(images)]
        for j in range(3):
            function, times = contestants[(i + j) % 3]
            start = time.perf_counter()
            function()
            milliseconds = 1e3 * (time.perf_counter() - start)
            if i >= 0:
                times.append(milliseconds)
        if i >= 0:
            segments.append(spent["segments"])
    return Times(
        indices,
        np.array(segments),
        np.array(chain),
        np.array(whole),
        np.array(routed),
    )


def exit_times(
    harness: Harness, images: np.ndarray, *, warmup: int, runs: int
) -> np.ndarray:
    """Times the chain alone, up to each exit.

    Args:
        harness: The chain.
        images: uint8 [N, H, W, C]; gone through again and again.
        warmup: Rounds that are not counted.
        runs: Rounds that are.

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
    """The mean, and the 50th, 90th and 99th percentiles."""
    found = {"mean": float(np.mean(values))}
    for p in (50, 90, 99):
        found[f"p{p}"] = float(np.percentile(values, p))
    return found
