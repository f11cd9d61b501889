"""Loads what a benchmark times: ways to classify one image, from files.

Needs numpy, and of the runtimes only the one that a contestant runs on: the
harness and whole models a TensorFlow Lite interpreter, ONNX models ONNX
Runtime.
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tflite.bundle import InputFacts, manifest_rules
from tflite.format import files
from tflite.runtime import interpreter
from tflite.runtime.harness import Harness
from tflite.runtime.quantized import quantized
from tflite.timing.stopwatch import TimedBundle


class Call(NamedTuple):
    """Holds what a contestant gave for an image, and the time it took.

    Attributes:
        outputs: Of each exit that it ran, [C], in the numbers of the runtime;
            the largest of the last one is the answer.
        ms: Milliseconds from pixels to `outputs`.
        kernel_ms: Those of them inside the runtime, for each model: one, or
            the segments of the chain, 0.0 for one that did not run.
        segment_ms: `kernel_ms` and the copies between segments; of a single
            model, `ms`.
    """

    outputs: list[np.ndarray]
    ms: float
    kernel_ms: tuple[float, ...]
    segment_ms: tuple[float, ...]


Runner = Callable[[np.ndarray], Call]
"""Runs a loaded contestant on an image, uint8 [H, W, C]."""


class WrongInput(ValueError):
    """Says that a model cannot be given the images of the benchmark."""


@dataclasses.dataclass(frozen=True)
class Contestant:
    """Describes a way to classify images.

    Attributes:
        runtime: One of `RUNTIMES`.
        path: The bundle of "chain" (to the last exit) and "routed" (under the
            bundle's policy); else the model file.
        threads: CPU threads that an operator may use.

    Raises:
        ValueError: If there is no such runtime.
    """

    runtime: str
    path: str
    threads: int = 1

    def __post_init__(self):
        """Checks the runtime."""
        if self.runtime not in RUNTIMES:
            raise ValueError(
                f"`runtime` must be one of {', '.join(RUNTIMES)}. "
                f"Received: {self.runtime!r}"
            )

    def find_runtime(self) -> None:
        """Imports the runtime, which `load` does otherwise.

        Raises:
            ImportError: If that is not installed.
        """
        RUNTIMES[self.runtime].find()

    def load(self) -> Runner:
        """Loads the contestant.

        Raises:
            ImportError: As `find_runtime`.
            WrongInput: If a model does not take one image of bytes or floats.
            ValueError: If the runtime does not take the file.
        """
        return RUNTIMES[self.runtime](self.path, self.threads)


class _Chain:
    """Runs the segments of a bundle to the last exit."""

    find = staticmethod(interpreter.find)

    def __init__(self, path: str, threads: int):
        self._harness = Harness(
            path, open_bundle=self._open_bundle, threads=threads
        )

    def _open_bundle(self, path: str, options: interpreter.Options):
        self._bundle = TimedBundle(path, options)
        return self._bundle

    def __call__(self, image: np.ndarray) -> Call:
        kernel_ms = self._bundle.kernel_ms
        kernel_ms[:] = [0.0] * len(kernel_ms)
        outputs, ms, segment_ms = self._run(image)
        return Call(outputs, ms, tuple(kernel_ms), segment_ms)

    def _run(self, image):
        start = time.perf_counter()
        reached = list(self._harness.exits(image))
        ms = 1e3 * (time.perf_counter() - start)
        segment_ms = tuple(ms for each in reached for ms in each.segment_ms)
        return [each.logits for each in reached], ms, segment_ms


class _Routed(_Chain):
    """Runs the segments as far as the bundle's policy lets each image go."""

    def _run(self, image):
        start = time.perf_counter()
        result = self._harness.classify(image)
        ms = 1e3 * (time.perf_counter() - start)
        left = len(self._bundle.kernel_ms) - len(result.segment_ms)
        return [result.probabilities], ms, (*result.segment_ms, *[0.0] * left)


class _Model:
    """Runs a .tflite model as its documentation says.

    It takes int8 = pixel - 128, uint8 pixels, or floats in [0, 1].
    """

    find = staticmethod(interpreter.find)

    def __init__(self, path: str, threads: int):
        data = files.model(path)
        self._interpreter = interpreter.load(
            interpreter.Verified(data, path),
            interpreter.Options(threads=threads),
        )
        inputs = self._interpreter.get_input_details()
        _require_image(path, [tuple(each["shape"]) for each in inputs])
        self._input = inputs[0]["index"]
        self._prepare = _PREPARE.get(np.dtype(inputs[0]["dtype"]).name)
        if self._prepare is None:
            raise WrongInput(
                f"{path} must take one of {', '.join(_PREPARE)}. "
                f"Received: {np.dtype(inputs[0]['dtype']).name}"
            )
        self._outputs = _outputs(self._interpreter)

    def __call__(self, image: np.ndarray) -> Call:
        loaded = self._interpreter
        start = time.perf_counter()
        loaded.set_tensor(self._input, self._prepare(image)[None])
        before = time.perf_counter()
        loaded.invoke()
        after = time.perf_counter()
        outputs = [loaded.get_tensor(index)[0] for index in self._outputs]
        ms = 1e3 * (time.perf_counter() - start)
        return Call(outputs, ms, (1e3 * (after - before),), (ms,))


class _Session:
    """Runs an ONNX model of floats in [0, 1] in ONNX Runtime, on the CPU."""

    @staticmethod
    def find() -> None:
        import onnxruntime  # noqa: F401

    def __init__(self, path: str, threads: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # Else its threads wait for more work on the cores of who is next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        inputs = self._session.get_inputs()
        _require_image(path, [tuple(each.shape) for each in inputs])
        self._input = inputs[0].name
        names = [each.name for each in self._session.get_outputs()]
        self._outputs = sorted(names, key=_by_number)

    def __call__(self, image: np.ndarray) -> Call:
        start = time.perf_counter()
        feed = {self._input: _floats(image)[None]}
        before = time.perf_counter()
        found = self._session.run(self._outputs, feed)
        after = time.perf_counter()
        outputs = [each[0] for each in found]
        ms = 1e3 * (time.perf_counter() - start)
        return Call(outputs, ms, (1e3 * (after - before),), (ms,))


RUNTIMES = {
    "chain": _Chain,
    "routed": _Routed,
    "tflite": _Model,
    "onnx": _Session,
}


@functools.cache  # Made once, as it is not what is timed.
def _facts(dtype: str, shape: tuple[int, int, int]) -> InputFacts:
    zero_point = manifest_rules.ZERO_POINTS[dtype]
    return InputFacts(shape, dtype, zero_point=zero_point)


def _signed(image: np.ndarray) -> np.ndarray:
    return quantized(image, _facts("int8", image.shape))


def _floats(image: np.ndarray) -> np.ndarray:
    return quantized(image, _facts("float32", image.shape))


_PREPARE = {"int8": _signed, "uint8": np.asarray, "float32": _floats}


def _require_image(path: str, shapes: list[tuple]) -> None:
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][0] != 1:
        raise WrongInput(
            f"{path} must have one input of shape [1, H, W, C]. "
            f"Received: {shapes}"
        )


def _outputs(loaded) -> list[int]:
    """Returns the exits' tensors, shallow to deep if a signature names them."""
    if len(loaded.get_signature_list()) != 1:
        return [each["index"] for each in loaded.get_output_details()]
    found = loaded.get_signature_runner().get_output_details()
    return [found[name]["index"] for name in sorted(found, key=_by_number)]


def _by_number(name: str) -> tuple[int, str]:
    """Puts exit_10 behind exit_9."""
    return len(name), name
