"""Runs a bundle on the device: stops at the first exit that is sure.

Needs numpy and a TensorFlow Lite interpreter, nothing else.
"""

import ctypes
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_dynamic.exits import confidence
from keras_dynamic.exits import policy as policies
from tflite import bundle, flatbuffer, interpreter


@dataclass(frozen=True)
class Result:
    """What the harness says about one image.

    Attributes:
        index: The most probable class.
        label: Its name.
        probabilities: Of every class, float64 [C], at the exit's temperature.
        exit: Where the image stopped, from 0.
        segment_ms: Milliseconds spent in each segment that ran, exit + 1 of
            them: copying its inputs, running it, and reading its logits.
            Loading a segment, at its first use, is not counted.
    """

    index: int
    label: str
    probabilities: np.ndarray
    exit: int
    segment_ms: tuple[float, ...]


@dataclass(frozen=True)
class _Stage:
    """A loaded segment; all its tensors resolved to indices.

    Attributes:
        interpreter: Holds the segment.
        feeds: For each input its memory, and the memory of what goes there.
        outputs: Details of each output, by name.
        logits: Details of the exit's output.
        logits_memory: Where they are after a run, [1, C].
    """

    interpreter: object
    feeds: tuple[tuple[np.ndarray, np.ndarray], ...]
    outputs: dict[str, dict]
    logits: dict
    logits_memory: np.ndarray


class Harness:
    """Runs the segments of a bundle, one image at a time.

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
        self._stages: list[_Stage] = []
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
        if policy.exits != len(self.bundle.segments):
            raise ValueError(
                f"`policy` must have {len(self.bundle.segments)} exits, as "
                f"the bundle has. Received: {policy.exits}"
            )
        spent = []
        state = policy.begin()
        for exit, (logits, milliseconds) in enumerate(self.exits(image)):
            spent.append(milliseconds)
            if not policy.looks_at(exit):
                continue
            probabilities = confidence.softmax(
                self.dequantize(exit, logits), policy.temperatures[exit]
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
        )

    def logits(self, image: np.ndarray) -> list[np.ndarray]:
        """Runs every segment and returns each exit's logits as they are.

        Returns:
            K arrays [C], int8 if the model is quantized; see `dequantize`.
        """
        return [logits for logits, _ in self.exits(image)]

    def dequantize(self, exit: int, logits: np.ndarray) -> np.ndarray:
        """Returns the numbers that an exit's logits stand for.

        Args:
            exit: From 0.
            logits: [..., C] as the segment gives them.

        Returns:
            float64 [..., C].
        """
        scale, zero_point = self._stage(exit).logits["quantization"]
        if not scale:  # A float model.
            return logits.astype(np.float64)
        return scale * (logits.astype(np.float64) - zero_point)

    def exits(self, image: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
        """Yields each exit's logits and milliseconds, running it only then.

        This is anytime prediction: stop asking, and no more work is done.

        Args:
            image: uint8 [H, W, C], as in the bundle's input facts.

        Raises:
            ValueError: if `image` has another shape or type.
        """
        self._put(image)
        loaded = self._stages
        for exit in range(len(self.bundle.segments)):
            stage = loaded[exit] if exit < len(loaded) else self._stage(exit)
            start = time.perf_counter()
            for target, source in stage.feeds:
                np.copyto(target, source)
            stage.interpreter.invoke()
            logits = stage.logits_memory[0].copy()
            yield logits, 1e3 * (time.perf_counter() - start)

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

    def _stage(self, exit: int) -> _Stage:
        while len(self._stages) <= exit:
            self._stages.append(self._load(len(self._stages)))
        return self._stages[exit]

    def _load(self, exit: int) -> _Stage:
        """Reads, checks and loads a segment; those before it are loaded."""
        facts = self.bundle.segments[exit]
        model = self.bundle.model(exit)
        flatbuffer.verify(model, facts.file)
        try:
            loaded = interpreter.load(model, self._threads)
        except interpreter.Refused as error:
            raise bundle.InvalidBundle(f"`{facts.file}`: {error}") from error
        if len(loaded.get_signature_list()) != 1:
            raise bundle.InvalidBundle(
                f"`{facts.file}` must have one signature. "
                f"Received: {list(loaded.get_signature_list())}"
            )
        # The runner itself copies every output at each call: only the names
        # are taken from it.
        runner = loaded.get_signature_runner()
        inputs = runner.get_input_details()
        outputs = runner.get_output_details()
        _check_names(facts.file, "inputs", facts.inputs, inputs)
        _check_names(facts.file, "outputs", facts.outputs, outputs)
        feeds = []
        for name in facts.inputs:
            source, memory = self._source(name)
            _check_match(facts.file, name, inputs[name], source)
            feeds.append((_memory(loaded, inputs[name]), memory))
        logits = outputs[facts.outputs[0]]
        if tuple(logits["shape"]) != (1, len(self.bundle.labels)):
            raise bundle.InvalidBundle(
                f"`{facts.file}` must give one logit for each of "
                f"{len(self.bundle.labels)} labels. "
                f"Received: shape {tuple(logits['shape'])}"
            )
        return _Stage(
            loaded, tuple(feeds), outputs, logits, _memory(loaded, logits)
        )

    def _source(self, name: str) -> tuple[dict, np.ndarray]:
        """Returns the details of a tensor and the memory it is in."""
        for stage in self._stages:
            if name in stage.outputs:
                details = stage.outputs[name]
                return details, _memory(stage.interpreter, details)
        facts, image = self.bundle.input, self._image
        quantized = facts.dtype == "int8"
        details = {
            "shape": image.shape,
            "dtype": image.dtype,
            "quantization": (
                (facts.scale, facts.zero_point) if quantized else (0.0, 0)
            ),
        }
        return details, image


def _memory(loaded: object, details: dict) -> np.ndarray:
    """Returns a tensor's own memory, which stays where it is.

    The interpreter refuses to run while its views are held, and copying
    through it costs more than a small segment. All shapes are static, so after
    allocation no tensor moves; the caller keeps the interpreter alive.
    """
    view = loaded.tensor(details["index"])()
    block = (ctypes.c_byte * view.nbytes).from_address(view.ctypes.data)
    return np.frombuffer(block, view.dtype).reshape(view.shape)


def _check_names(file: str, side: str, expected, found) -> None:
    if set(expected) != set(found):
        raise bundle.InvalidBundle(
            f"`{file}` must have the {side} {sorted(expected)}. "
            f"Received: {sorted(found)}"
        )


def _check_match(file: str, name: str, found: dict, expected: dict) -> None:
    """Checks that both sides of a cut mean the same by their numbers."""
    pairs = [
        (
            tuple(map(int, each["shape"])),
            np.dtype(each["dtype"]).name,
            np.float32(each["quantization"][0]),
            each["quantization"][1],
        )
        for each in (expected, found)
    ]
    if pairs[0] != pairs[1]:
        raise bundle.InvalidBundle(
            f"`{file}` input {name!r} must have the shape, type, scale and "
            f"zero point of what feeds it, {pairs[0]}. Received: {pairs[1]}"
        )
