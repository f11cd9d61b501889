"""Runs a bundle on many images; each stops at the first exit that is sure.

After an exit the images that go on are regrouped: the segments behind it run
full batches again, however many images stopped. Needs numpy and a TensorFlow
Lite interpreter, nothing else.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_dynamic.exits.decision import confidence
from keras_dynamic.exits.decision.policy import Policy
from tflite import bundle
from tflite.runtime import interpreter, loaded_segment
from tflite.runtime.chain import Chain
from tflite.runtime.open_bundle import OpenBundle
from tflite.runtime.quantized import quantized
from tflite.runtime.regrouping import Batch, Tensors, regrouped

# Rows of its first batch that a segment also runs one by one.
_COMPARED = 4


@dataclass(frozen=True, eq=False)
class Results:
    """Holds what the harness says about N images, in their order.

    Attributes:
        classes: The most probable class, int64 [N].
        exits: Where each image stopped, from 0, int64 [N].
        probabilities: Of every class, float64 [N, C], at the temperature of
            the exit.
        madds: Multiply-adds of all segments that each image ran, int64 [N].
    """

    classes: np.ndarray
    exits: np.ndarray
    probabilities: np.ndarray
    madds: np.ndarray


class BatchHarness:
    """Runs the segments of a bundle, many images at a time.

    The results are those of `Harness` for each image, bit for bit. The
    manifest, the labels and all segments are read and checked at once; the
    bundle is not needed afterwards. Not thread-safe: `Harness.classify_batch`
    keeps one for each thread.

    A bundle's segments are made for one image. Their inputs are resized to a
    batch, which the interpreter takes for all operators that our converter
    writes, and XNNPACK keeps each segment in one piece. A segment that cannot
    be resized, or whose first batch gives other bits than its images do one
    by one (an operator that mixes them), runs one image at a time.

    A segment with a gate runs those images of a batch whose gate is not 0, in
    a smaller batch, its bypass the others; they do not wait for more of their
    kind, as all go on together.

    Memory does not grow with the number of images: behind each exit wait fewer
    than two batches. What is left for a segment at the end is a smaller batch,
    without padding.

    Measured on the six-exit RANet for CIFAR-10, int8, x86-64, one thread, CPU
    time: a segment's kernels take the same time per image in batches of 1 to
    64, within 10 % either way. What batches save is the work around them:
    1.2 times the images per second of `Harness`, at 64 as at 128; 1.1 at 8.
    Resizing a segment costs less than running it for one image more (median of
    40), so calls with 64 images are as fast as one call with 2,000. An image of
    32 x 32 carries up to 290 kB from segment to segment: running 256 images to
    the last exit took 100 MB more than loading the bundle at 64, 26 MB at 16.
    Larger images want smaller batches.

    Attributes:
        bundle: The bundle that was opened.
        batch_size: Images that a segment takes at once.
    """

    def __init__(
        self,
        path: str | OpenBundle,
        batch_size: int = 64,
        **options: Any,
    ):
        """Loads a bundle.

        Args:
            path: Directory as `bundle.write` made it, or its bundle.zip; or a
                bundle that is open.
            batch_size: Images that a segment takes at once, if there are as
                many.
            **options: Of `interpreter.Options`; none if the bundle is open.

        Raises:
            bundle.InvalidBundle: if the bundle is not what its manifest says.
            flatbuffer.InvalidModel: if a segment is not a sound model.
            ValueError: if `batch_size` is no integer of 1 or more, or an
                option cannot be had.
        """
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(
                "`batch_size` must be an integer of 1 or more. "
                f"Received: {batch_size!r}"
            )
        self.batch_size = batch_size
        if isinstance(path, OpenBundle):
            opened = path
        else:
            opened = OpenBundle(path, interpreter.Options(**options))
        self.bundle: bundle.Bundle = opened.bundle
        # Checks every segment, and how each fits those before it.
        chain = Chain(opened)
        self._segments = [
            _Segment(facts, chain.stage(place))
            for place, facts in enumerate(self.bundle.segments)
        ]
        self._wanted = _wanted(self.bundle.segments)
        self._zeros: dict[str, int] = {}
        for segment in self._segments:
            self._zeros |= segment.zeros

    def run(self, images: np.ndarray, policy: Policy | None = None) -> Results:
        """Runs every image until `policy` lets it stop.

        Args:
            images: uint8 [N, H, W, C], H, W and C as in the bundle's input
                facts; N may be 0.
            policy: When to stop; the bundle's own if there is none.

        Raises:
            ValueError: if `images` has another shape or type, or `policy` a
                different number of exits.
        """
        policy = policy or self.bundle.policy
        exits = len(self.bundle.ends)
        if policy.exits != exits:
            raise ValueError(
                f"`policy` must have {exits} exits, as the bundle has. "
                f"Received: {policy.exits}"
            )
        self._check(images)
        found = _Findings(policy, len(images), len(self.bundle.labels))
        stream = self._batches(images)
        for place, facts in enumerate(self.bundle.segments):
            stream = map(functools.partial(self._advance, place, found), stream)
            if facts.wiring.exit is not None:
                stream = regrouped(stream, self.batch_size)
        # The last segment asks those before it for images; none survives it.
        for _ in stream:
            pass
        return Results(
            classes=found.probabilities.argmax(axis=1),
            exits=found.stops,
            probabilities=found.probabilities,
            madds=found.madds,
        )

    def _check(self, images: np.ndarray) -> None:
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
            received = getattr(images, "dtype", type(images).__name__)
            raise ValueError(
                "`images` must be a numpy array of uint8 pixels. "
                f"Received: {received}"
            )
        shape = self.bundle.input.shape
        if images.ndim != 4 or images.shape[1:] != shape:
            sides = ", ".join(map(str, shape))
            raise ValueError(
                f"`images` must have the shape (N, {sides}). "
                f"Received: {images.shape}"
            )

    def _batches(self, images: np.ndarray) -> Iterator[Batch]:
        """Yields the images as the first segment takes them."""
        facts = self.bundle.input
        (name,) = self.bundle.segments[0].wiring.inputs
        for start in range(0, len(images), self.batch_size):
            pixels = images[start : start + self.batch_size]
            rows = np.arange(start, start + len(pixels))
            yield Batch(rows, {name: quantized(pixels, facts)})

    def _advance(self, place: int, found: "_Findings", batch: Batch) -> Batch:
        """Runs one segment; returns the images that go on, perhaps none."""
        segment, rows = self._segments[place], batch.rows
        facts, exit = segment.facts, segment.facts.wiring.exit
        runs = self._runs(place, batch)
        tensors = {**batch.tensors, **segment.run(batch.tensors, runs)}
        found.madds[rows[runs]] += facts.madds
        leaves = np.zeros(len(rows), bool)
        if exit is not None and found.policy.looks_at(exit):
            values = confidence.softmax(
                segment.dequantize(tensors[facts.wiring.outputs[0]]),
                found.policy.temperatures[exit],
            )
            leaves = found.take(exit, rows, values)
        wanted = {name: tensors[name] for name in self._wanted[place]}
        after = Batch(rows, wanted)
        return after.take(~leaves) if leaves.any() else after

    def _runs(self, place: int, batch: Batch) -> np.ndarray:
        """Says for which images a segment runs, booleans [B]."""
        wiring = self.bundle.segments[place].wiring
        if wiring.bypass:
            return ~self._runs(place - 1, batch)
        if wiring.gate is None:
            return np.ones(len(batch.rows), bool)
        gates = batch.tensors[wiring.gate].reshape(len(batch.rows))
        return gates != self._zeros[wiring.gate]


class _Findings:
    """Collects what is known of N images so far.

    Attributes:
        policy: When to stop.
        stops: Where each image stopped, from 0, int64 [N]; -1 if it has not.
        probabilities: Of every class, float64 [N, C], for those that stopped.
        madds: Multiply-adds of all segments that each image ran, int64 [N].
    """

    def __init__(self, policy: Policy, images: int, classes: int):
        self.policy = policy
        self.stops = np.full(images, -1)
        self.probabilities = np.empty((images, classes))
        self.madds = np.zeros(images, np.int64)
        self._states = policy.begin(images)

    def take(
        self, exit: int, rows: np.ndarray, probabilities: np.ndarray
    ) -> np.ndarray:
        """Returns which of the images `rows` stop at an exit, booleans [B].

        Args:
            exit: Its number.
            rows: Images that got there, [B].
            probabilities: What the exit says of them, [B, C].
        """
        leaves, self._states[rows] = self.policy.step(
            exit, probabilities, self._states[rows]
        )
        self.stops[rows[leaves]] = exit
        self.probabilities[rows[leaves]] = probabilities[leaves]
        return leaves


def _wanted(segments: Sequence[bundle.SegmentFacts]) -> list[set[str]]:
    """Names the tensors so far that later segments need, for each segment."""
    wanted: list[set[str]] = []
    names: set[str] = set()
    for place in reversed(range(len(segments))):
        wiring = segments[place].wiring
        wanted.append(set(names))
        gate = wiring.gate
        if wiring.bypass:
            # Its outputs are there already, for the images that do not run it.
            gate = segments[place - 1].wiring.gate
        else:
            names.difference_update(wiring.outputs)
        names.update(wiring.inputs, () if gate is None else (gate,))
    return wanted[::-1]


class _Segment:
    """Runs a segment in its interpreter, resized to what it is given."""

    def __init__(
        self, facts: bundle.SegmentFacts, stage: loaded_segment.LoadedSegment
    ):
        self.facts = facts
        if stage.logits is not None:
            # Of the arrays it is given: the interpreter's memory will move.
            self.dequantize = stage.logits.dequantize
        self._interpreter = stage.interpreter
        runner = self._interpreter.get_signature_runner()
        outputs = runner.get_output_details()
        self._inputs = _indices(runner.get_input_details(), facts.wiring.inputs)
        self._outputs = _indices(outputs, facts.wiring.outputs)
        self._details = {name: outputs[name] for name in facts.wiring.outputs}
        self.zeros = {
            name: loaded_segment.zero(each)
            for name, each in self._details.items()
        }
        self._size = 1
        self._takes_batches: bool | None = None

    def run(self, tensors: Tensors, runs: np.ndarray) -> Tensors:
        """Runs the segment and returns its outputs, [B, ...] each.

        Where it is not run they are what they were: of a bypass, what the
        segment before it gave; else zeros.

        Args:
            tensors: Among them its inputs, [B, ...] each, by name.
            runs: For which images it is run, booleans [B].
        """
        if runs.all():
            return self._run(tensors)
        if self.facts.wiring.bypass:
            found = {name: tensors[name] for name in self._outputs}
        else:
            found = self._all_zeros(len(runs))
        if runs.any():
            some = {name: tensors[name][runs] for name in self._inputs}
            for name, values in self._run(some).items():
                found[name][runs] = values
        return found

    def _all_zeros(self, count: int) -> dict[str, np.ndarray]:
        return {
            name: np.full(
                (count, *details["shape"][1:]),
                self.zeros[name],
                details["dtype"],
            )
            for name, details in self._details.items()
        }

    def _run(self, tensors: Tensors) -> Tensors:
        if self._takes_batches is None:
            self._takes_batches = self._compare(tensors)
        if self._takes_batches:
            return self._invoke(tensors)
        return self._one_by_one(tensors)

    def _compare(self, tensors: Tensors) -> bool | None:
        """Says whether a batch gives the same bits; None if it has one row."""
        if len(tensors[next(iter(self._inputs))]) == 1:
            return None
        first = {name: tensors[name][:_COMPARED] for name in self._inputs}
        expected = self._one_by_one(first)
        try:
            found = self._invoke(tensors)
        except (RuntimeError, ValueError):  # The interpreter refuses it.
            return False
        return all(
            found[name][:_COMPARED].tobytes() == expected[name].tobytes()
            for name in expected
        )

    def _one_by_one(self, tensors: Tensors) -> Tensors:
        given = [tensors[name] for name in self._inputs]
        found = [
            self._invoke(
                {
                    name: values[i : i + 1]
                    for name, values in zip(self._inputs, given, strict=True)
                }
            )
            for i in range(len(given[0]))
        ]
        return {
            name: np.concatenate([outputs[name] for outputs in found])
            for name in self._outputs
        }

    def _invoke(self, tensors: Tensors) -> Tensors:
        loaded = self._interpreter
        size = len(tensors[next(iter(self._inputs))])
        if size != self._size:
            # Unknown until allocation succeeds: the next run resizes again.
            self._size = 0
            for name, index in self._inputs.items():
                shape = (size, *tensors[name].shape[1:])
                loaded.resize_tensor_input(index, shape)
            loaded.allocate_tensors()
            self._size = size
        for name, index in self._inputs.items():
            loaded.set_tensor(index, tensors[name])
        loaded.invoke()
        return {
            name: loaded.get_tensor(index)
            for name, index in self._outputs.items()
        }


def _indices(details: Mapping, names: Sequence[str]) -> dict[str, int]:
    return {name: details[name]["index"] for name in names}
