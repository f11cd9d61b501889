"""Runs a bundle on the device: stops at the first exit that is sure.

Needs numpy and a TensorFlow Lite interpreter, nothing else.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_dynamic.exits import confidence
from keras_dynamic.exits import policy as policies
from tflite import bundle, stages


@dataclass(frozen=True)
class Result:
    """What the harness says about one image.

    Attributes:
        index: The most probable class.
        label: Its name.
        probabilities: Of every class, float64 [C], at the exit's temperature.
        exit: Where the image stopped, from 0.
        segment_ms: Milliseconds spent in each segment up to the exit's:
            copying its inputs, running it, and reading its logits; 0.0 if a
            gate skipped it. Loading a segment, at its first use, is not
            counted.
        ran: Whether each of these segments ran.
        madds: Multiply-adds of those that did.
    """

    index: int
    label: str
    probabilities: np.ndarray
    exit: int
    segment_ms: tuple[float, ...]
    ran: tuple[bool, ...]
    madds: int


class Reached(NamedTuple):
    """An exit that an image got to.

    Attributes:
        logits: As the segment gives them, [C].
        segment_ms: As in `Result`, of the segments since the exit before.
        ran: Whether each of these ran.
        madds: Multiply-adds of those that did.
    """

    logits: np.ndarray
    segment_ms: tuple[float, ...]
    ran: tuple[bool, ...]
    madds: int


class Harness:
    """Runs the segments of a bundle, one image at a time.

    A segment with a gate runs only where the gate is not 0; else whatever
    reads its outputs gets zeros.

    The manifest, the labels and the first segment are read and checked at
    once; a later segment when an image first gets there. Use as a context
    manager, or drop the object, to free the interpreters. Not thread-safe:
    give each thread its own.
    """

    def __init__(self, directory: str, threads: int = 1):
        """Opens the bundle in `directory`.

        Args:
            directory: As `bundle.write` made it.
            threads: Threads that an operator may use.

        Raises:
            bundle.InvalidBundle: if the bundle, or the segment now needed,
                is not what its manifest says.
            flatbuffer.InvalidModel: if a segment is not a sound model.
        """
        self.bundle = bundle.read(directory)
        self._to_the_end = policies.last_exit(self.bundle.policy.temperatures)
        self._threads = threads
        self._stages: list[stages.Stage] = []
        self._ends = self.bundle.ends
        facts = self.bundle.input
        # The image as the first segment takes it, written over by each one.
        self._image = np.zeros((1, *facts.shape), facts.dtype)
        self._stage(0)

    def __enter__(self) -> "Harness":
        return self

    def __exit__(self, *_) -> None:
        self._stages.clear()

    def classify(self, image: np.ndarray) -> Result:
        """Classifies an image under the bundle's own policy; see `run`."""
        return self.run(image, self.bundle.policy)

    def run(
        self, image: np.ndarray, policy: policies.Policy | None = None
    ) -> Result:
        """Runs segments until `policy` lets the image stop.

        Args:
            image: uint8 [H, W, C], as in the bundle's input facts.
            policy: When to stop. Without one the image goes to the last exit
                and takes its probabilities at the bundle's temperature.

        Raises:
            ValueError: if `image` has another shape or type, or `policy` a
                different number of exits.
        """
        policy = policy or self._to_the_end
        if policy.exits != len(self._ends):
            raise ValueError(
                f"`policy` must have {len(self._ends)} exits, as the bundle "
                f"has. Received: {policy.exits}"
            )
        spent, ran, madds = [], [], 0
        state = policy.begin()
        for exit, reached in enumerate(self.exits(image)):
            spent += reached.segment_ms
            ran += reached.ran
            madds += reached.madds
            if not policy.looks_at(exit):
                continue
            probabilities = confidence.softmax(
                self.dequantize(exit, reached.logits),
                policy.temperatures[exit],
            )
            leaves, state = policy.step(exit, probabilities, state)
            if leaves:
                break
        index = int(probabilities.argmax())
        return Result(
            index=index,
            label=self.bundle.labels[index],
            probabilities=probabilities,
            exit=exit,
            segment_ms=tuple(spent),
            ran=tuple(ran),
            madds=madds,
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
        details = self._stage(self._ends[exit]).logits.details
        scale, zero_point = details["quantization"]
        if not scale:  # A float model.
            return logits.astype(np.float64)
        return scale * (logits.astype(np.float64) - zero_point)

    def exits(self, image: np.ndarray) -> Iterator[Reached]:
        """Yields one exit after another, running its segments only then.

        This is anytime prediction: stop asking, and no more work is done.

        Args:
            image: uint8 [H, W, C], as in the bundle's input facts.

        Raises:
            ValueError: if `image` has another shape or type.
        """
        self._put(image)
        loaded = self._stages
        ran, spent = [True], []  # The image is there.
        madds = first = 0
        for place in range(len(self.bundle.segments)):
            stage = loaded[place] if place < len(loaded) else self._stage(place)
            gate = stage.gate
            if gate is not None and not (
                ran[gate.origin] and gate.memory.item() != gate.zero
            ):
                ran.append(False)
                spent.append(0.0)
                continue
            start = time.perf_counter()
            for memory, view, source in stage.feeds:
                if ran[source.origin]:
                    view[:] = source.view
                else:
                    memory.fill(source.zero)
            stage.run()
            madds += stage.madds
            ran.append(True)
            if stage.logits is None:
                spent.append(1e3 * (time.perf_counter() - start))
                continue
            logits = stage.logits.memory[0].copy()
            spent.append(1e3 * (time.perf_counter() - start))
            yield Reached(
                logits,
                tuple(spent[first:]),
                tuple(ran[first + 1 :]),
                madds,
            )
            madds, first = 0, place + 1

    def _put(self, image: np.ndarray) -> None:
        facts = self.bundle.input
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
            received = getattr(image, "dtype", type(image).__name__)
            raise ValueError(
                "`image` must be a numpy array of uint8 pixels. "
                f"Received: {received}"
            )
        if image.shape != facts.shape:
            raise ValueError(
                f"`image` must have the shape {facts.shape}, that is (height, "
                f"width, channels). Received: {image.shape}"
            )
        if facts.dtype == "float32":
            np.multiply(image, np.float32(facts.scale), out=self._image[0])
        else:
            # Flipping the top bit of a byte subtracts 128.
            np.bitwise_xor(image, 0x80, out=self._image[0].view(np.uint8))

    def _stage(self, place: int) -> stages.Stage:
        """Loads the segments up to one, if they are not; returns the last."""
        while len(self._stages) <= place:
            self._stages.append(
                stages.load(
                    self.bundle,
                    len(self._stages),
                    self._sources(),
                    threads=self._threads,
                )
            )
        return self._stages[place]

    def _sources(self) -> dict[str, stages.Source]:
        """What the next segment may read: the image, and the outputs so far."""
        [name] = self.bundle.segments[0].inputs
        facts = self.bundle.input
        sources = {name: stages.image_source(self._image, facts)}
        for stage in self._stages:
            sources |= stage.outputs
        return sources
