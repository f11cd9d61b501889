"""Runs a bundle on the device: stops at the first exit that is sure.

Needs numpy and a TensorFlow Lite interpreter, nothing else.
"""

import functools
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, cast

import numpy as np

from keras_dynamic.exits.decision import confidence, shortcut
from keras_dynamic.exits.decision.policy import Policy, last_exit
from tflite import bundle
from tflite.runtime import interpreter, pace
from tflite.runtime.batch_harness import BatchHarness, Results
from tflite.runtime.chain import Chain
from tflite.runtime.logits import Logits
from tflite.runtime.open_bundle import OpenBundle

# A thread that makes its policies image by image keeps no more than these.
_MAX_POLICIES = 16


@dataclass(frozen=True, eq=False)
class Result:
    """Holds what the harness says about one image.

    Attributes:
        index: The most probable class.
        label: Its name.
        logits: The exit's, as numbers, float64 [C].
        temperature: What they are divided by to be probabilities.
        exit: Where the image stopped, from 0.
        segment_ms: Milliseconds spent in each segment up to the exit's:
            copying its inputs and running it; 0.0 if it did not run.
            Loading a segment, at its first use, is not counted.
        ran: Whether each of these segments ran.
        madds: Multiply-adds of those that did.
        stopped_by_budget: Whether the image stopped because the next exit
            could not be expected within its milliseconds, and not because the
            policy let it.
    """

    index: int
    label: str
    logits: np.ndarray
    temperature: float
    exit: int
    segment_ms: tuple[float, ...]
    ran: tuple[bool, ...]
    madds: int
    stopped_by_budget: bool = False

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """Returns those of every class, float64 [C].

        They are computed when somebody asks: a decision seldom needs them.
        """
        return confidence.softmax(self.logits, self.temperature)


class Reached(NamedTuple):
    """Describes an exit that an image got to.

    Attributes:
        logits: As the segment gives them, [C].
        segment_ms: Milliseconds spent in each segment since the exit before;
            0.0 if it did not run.
        ran: Whether each of these ran.
        madds: Multiply-adds of those that did.
    """

    logits: np.ndarray
    segment_ms: tuple[float, ...]
    ran: tuple[bool, ...]
    madds: int


class Harness:
    """Runs the segments of a bundle on one image, a batch, or a stream.

    A segment with a gate runs only where the gate is not 0; else its bypass
    does or, without one, whatever reads its outputs gets zeros.

    The manifest, the labels and the first segment are read and checked at
    once; a later segment when an image first gets there, or by `warm_up`.

    Threads may share a harness. Models are read and checked once; each thread
    that comes gets interpreters of its own, which go when it ends. An iterator
    that a method returns belongs to one thread.

    `close`, or leaving its `with` block, frees models and interpreters.
    """

    def __init__(
        self,
        path: str,
        *,
        clock: Callable[[], float] = time.perf_counter,
        open_bundle: Callable[..., OpenBundle] = OpenBundle,
        **options: Any,
    ):
        """Opens a bundle.

        Args:
            path: Directory as `bundle.write` made it, or its bundle.zip.
            clock: Tells the time in seconds.
            open_bundle: Takes path and options. One that also measures, such
                as `stopwatch.TimedBundle`, is why there is a choice.
            **options: `threads`, `xnnpack`, `delegate`, `delegate_options`,
                `memory_mapped`: see `interpreter.Options`.

        Raises:
            bundle.InvalidBundle: if the bundle, or the segment now needed,
                is not what its manifest says.
            flatbuffer.InvalidModel: if a segment is not a sound model.
            ValueError: if an option cannot be had.
        """
        self._opened = open_bundle(path, interpreter.Options(**options))
        self.bundle: bundle.Bundle = self._opened.bundle
        self._to_the_end = last_exit(self.bundle.policy.temperatures)
        self._clock = clock
        self._own: _Own | None = _Own(self._opened, clock)

    def __enter__(self) -> "Harness":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees models and interpreters; a second call does nothing.

        What a thread is running comes to its end; anything else is then a
        ValueError.
        """
        self._own = None
        self._opened.close()

    def warm_up(self) -> None:
        """Loads all segments for this thread, and runs each of them twice.

        The first images are then as fast as later ones.

        Raises:
            bundle.InvalidBundle: as on opening, for any segment.
            flatbuffer.InvalidModel: as on opening, for any segment.
        """
        self._mine().chain.warm_up()

    def classify(
        self,
        image: np.ndarray,
        point: str | None = None,
        budget_ms: float | None = None,
    ) -> Result:
        """Classifies an image under one of the bundle's own policies.

        Args:
            image: uint8 [H, W, C], as in the bundle's input facts.
            point: Name of an operating point; the bundle's policy without.
            budget_ms: Milliseconds that this may take; no limit without.

        Raises:
            ValueError: as `run`; or if the bundle has no such point.
        """
        return self.run(image, self._policy(point), budget_ms)

    def classify_batch(
        self,
        images: np.ndarray,
        point: str | None = None,
        batch_size: int = 64,
    ) -> Results:
        """Classifies many images; the results are those of one by one.

        See `BatchHarness`, which also takes a policy. It loads interpreters
        of its own at the first call, or for another `batch_size`.

        Args:
            images: uint8 [N, H, W, C].
            point: Name of an operating point; the bundle's policy without.
            batch_size: Images that a segment takes at once.

        Raises:
            ValueError: if `images` has another shape or type, or the bundle
                has no such point.
        """
        policy, mine = self._policy(point), self._mine()
        if mine.batches is None or mine.batches.batch_size != batch_size:
            mine.batches = BatchHarness(self._opened, batch_size)
        return mine.batches.run(images, policy)

    def stream(
        self,
        images: Iterable[np.ndarray],
        point: str | None = None,
        budget_ms: float | None = None,
    ) -> Iterator[Result]:
        """Classifies images as they come, one for each result asked for.

        An image that is refused is a ValueError from `next`; the stream can be
        asked for the next one all the same.

        Args:
            images: uint8 [H, W, C] each; taken one at a time, none ahead.
            point: Name of an operating point; the bundle's policy without.
            budget_ms: Milliseconds that each image may take, from when it is
                there; no limit without. With one, all segments are loaded
                beforehand.

        Raises:
            ValueError: if the bundle has no such point, or `budget_ms` is not
                positive.
        """
        policy = self._policy(point)
        if budget_ms is not None:
            _check_budget(budget_ms)
            self._warm()
        run = functools.partial(self.run, policy=policy, budget_ms=budget_ms)
        # A generator would end with the first image that is refused.
        return map(run, images)

    def run(
        self,
        image: np.ndarray,
        policy: Policy | None = None,
        budget_ms: float | None = None,
    ) -> Result:
        """Runs segments until `policy` lets the image stop.

        Args:
            image: uint8 [H, W, C], as in the bundle's input facts.
            policy: When to stop. Without one the image goes to the last exit
                and takes its probabilities at the bundle's temperature.
            budget_ms: Milliseconds that this may take. After each exit, also
                one that the policy does not stop at, the image goes on only
                if the next one can be expected within the budget, by running
                means of the times so far. A promise it is not: the first exit
                always runs, and a segment is not interrupted. All segments
                are loaded and run before the first image with a budget.

        Raises:
            ValueError: if `image` has another shape or type, `policy` a
                different number of exits, `budget_ms` is not positive, or the
                harness was closed.
        """
        policy = policy or self._to_the_end
        exits = self._to_the_end.exits
        if policy.exits != exits:
            raise ValueError(
                f"`policy` must have {exits} exits, as the bundle has. "
                f"Received: {policy.exits}"
            )
        mine = self._mine()
        chain, shortcuts = mine.chain, mine.shortcuts(policy)
        watch = None
        if budget_ms is not None:
            _check_budget(budget_ms)
            self._warm()
            watch = pace.Watch(chain.pace, self._clock, budget_ms)
        state = None
        for exit, logits in enumerate(chain.run(image)):
            late = watch is not None and watch.out_of_time(exit)
            if not late and not policy.looks_at(exit):
                continue
            decide = shortcuts(exit, logits)
            leaves: Any = None
            if decide is not None:
                leaves, scores = decide(logits.signed), None
            if leaves is None:
                numbers = logits.numbers()
                scores = confidence.softmax(numbers, policy.temperatures[exit])
                state = policy.begin() if state is None else state
                leaves, state = policy.step(exit, scores, state)
            if leaves or late:
                break
        if scores is None:
            scores = numbers = logits.numbers()
        index = int(scores.argmax())
        return Result(
            index=index,
            label=self.bundle.labels[index],
            logits=numbers,
            temperature=policy.temperatures[exit],
            exit=exit,
            segment_ms=tuple(chain.segment_ms),
            ran=tuple(chain.ran[1:]),
            madds=chain.madds,
            stopped_by_budget=not leaves,
        )

    def logits(self, image: np.ndarray) -> list[np.ndarray]:
        """Runs to the last exit and returns each one's logits as they are.

        Returns:
            K arrays [C], int8 if the model is quantized; see `dequantize`.
        """
        return [reached.logits for reached in self.exits(image)]

    def dequantize(self, exit: int, logits: np.ndarray) -> np.ndarray:
        """Returns the numbers that an exit's logits stand for.

        Args:
            exit: From 0.
            logits: [..., C] as the segment gives them.

        Returns:
            float64 [..., C].
        """
        stage = self._mine().chain.stage(self.bundle.ends[exit])
        return cast(Logits, stage.logits).dequantize(logits)

    def exits(self, image: np.ndarray) -> Iterator[Reached]:
        """Yields one exit after another, running its segments only then.

        This is anytime prediction: stop asking, and no more work is done.

        Args:
            image: uint8 [H, W, C], as in the bundle's input facts.

        Raises:
            ValueError: if `image` has another shape or type, or this thread
                began another image in between.
        """
        chain = self._mine().chain
        first = madds = 0
        for logits in chain.run(image):
            yield Reached(
                logits.copy(),
                tuple(chain.segment_ms[first:]),
                tuple(chain.ran[first + 1 :]),
                chain.madds - madds,
            )
            first, madds = len(chain.segment_ms), chain.madds

    def _policy(self, point: str | None) -> Policy:
        if point is None:
            return self.bundle.policy
        points = self.bundle.operating_points
        if point not in points:
            raise ValueError(
                f"`point` must be one of {sorted(points)}. Received: {point!r}"
            )
        return points[point]

    def _warm(self) -> None:
        chain = self._mine().chain
        if not chain.warm:
            chain.warm_up()

    def _mine(self) -> "_Own":
        if self._own is None:
            raise ValueError("`harness` must be open. Received: a closed one")
        return self._own


class _Own(threading.local):
    """Keeps what a thread has of its own; made in each when it first asks."""

    def __init__(self, opened: OpenBundle, clock: Callable[[], float]):
        self.chain = Chain(opened, clock)
        self.batches: BatchHarness | None = None
        self._shortcuts: dict[int, _Shortcuts] = {}

    def shortcuts(self, policy: Policy) -> "_Shortcuts":
        """Returns what decides for a policy; it is kept for the next image."""
        kept = self._shortcuts.get(id(policy))
        if kept is None:
            if len(self._shortcuts) == _MAX_POLICIES:
                self._shortcuts.clear()
            kept = self._shortcuts[id(policy)] = _Shortcuts(policy)
        return kept


class _Shortcuts:
    """Keeps a policy's shortcut of each exit that an image got to."""

    def __init__(self, policy: Policy):
        # As long as it is kept no other policy has its `id`.
        self._policy = policy
        self._found: dict[int, shortcut.Shortcut | None] = {}

    def __call__(self, exit: int, logits: Logits) -> shortcut.Shortcut | None:
        if exit not in self._found:
            self._found[exit] = None
            if logits.signed is not None:
                self._found[exit] = shortcut.shortcut(
                    self._policy, exit, logits.scale, logits.classes
                )
        return self._found[exit]


def _check_budget(budget_ms: float) -> None:
    if not isinstance(budget_ms, Real) or not 0 < budget_ms < math.inf:
        raise ValueError(
            "`budget_ms` must be a positive number of milliseconds. "
            f"Received: {budget_ms!r}"
        )
