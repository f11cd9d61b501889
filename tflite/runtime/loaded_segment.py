"""Loads a segment of a bundle, with all its tensors as memory."""

import ctypes
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tflite import bundle
from tflite.runtime.logits import Logits
from tflite.runtime.open_bundle import OpenBundle


class Source(NamedTuple):
    """Describes a tensor that comes out of a segment, or the image.

    Attributes:
        origin: Place of its segment in the chain, plus 1; 0 for the image.
        memory: Where it is, after its segment ran.
        view: This memory as bytes. Copied as such it takes a fifth of the
            time of numpy's copy, which for a small tensor is all overhead.
        zero: What stands for 0 in it, and is all of it if its segment did not
            run.
        details: Shape, type and quantization, as the interpreter gives them.
    """

    origin: int
    memory: np.ndarray
    view: memoryview
    zero: int
    details: Mapping


class Feed(NamedTuple):
    """Describes an input of a segment: a tensor of one before, or the image.

    Attributes:
        view: Memory of the input, as bytes.
        sources: Where it may come from, as origins and bytes: a segment, and
            its bypass if it has one.
        memory: Of the input.
        zero: What stands for 0 in it.
    """

    view: memoryview
    sources: tuple[tuple[int, memoryview], ...]
    memory: np.ndarray
    zero: int


class LoadedSegment(NamedTuple):
    """Holds a loaded segment.

    It is a tuple, as `Feed` is: after the kernels of a segment all of Python is
    out of the processor's caches, and each object looked into costs a wait.

    Attributes:
        gates: What must not be 0 for it to run, from a segment or from its
            bypass; empty if nothing must.
        bypass: Whether it runs where the segment before it does not.
        feeds: One per input.
        run: Runs it.
        madds: Multiply-adds of the segment.
        logits: The exit's, if it ends one.
        outputs: Each output, by name.
        interpreter: Holds the segment, and the memory.
    """

    gates: tuple[Source, ...]
    bypass: bool
    feeds: tuple[Feed, ...]
    run: Callable[[], None]
    madds: int
    logits: Logits | None
    outputs: Mapping[str, Source]
    interpreter: Any


def image_source(image: np.ndarray, facts: bundle.InputFacts) -> Source:
    """Returns the memory of an image, [1, H, W, C], as a source."""
    quantized = facts.dtype == "int8"
    details = {
        "shape": image.shape,
        "dtype": image.dtype,
        "quantization": (
            (facts.scale, facts.zero_point) if quantized else (0.0, 0)
        ),
    }
    return Source(0, image, _bytes(image), facts.zero_point, details)


def load(
    opened: OpenBundle, place: int, sources: Mapping[str, tuple[Source, ...]]
) -> LoadedSegment:
    """Reads, checks and loads a segment.

    Args:
        opened: The bundle.
        place: Of the segment in the chain.
        sources: The image and the outputs of all segments before, by name.
            Two have one name if one of them is of the other's bypass.

    Raises:
        bundle.InvalidBundle: if it is not what the manifest says, or does not
            fit what feeds it.
        flatbuffer.InvalidModel: if it is not a sound model.
    """
    facts = opened.bundle.segments[place]
    wiring = facts.wiring
    loaded = opened.load(place)
    if len(loaded.get_signature_list()) != 1:
        raise bundle.InvalidBundle(
            f"`{facts.file}` must have one signature. "
            f"Received: {list(loaded.get_signature_list())}"
        )
    # The runner itself copies every output at each call: only the names are
    # taken from it.
    runner = loaded.get_signature_runner()
    inputs = runner.get_input_details()
    outputs = runner.get_output_details()
    _check_names(facts.file, "inputs", wiring.inputs, inputs)
    _check_names(facts.file, "outputs", wiring.outputs, outputs)
    feeds = []
    for name in wiring.inputs:
        for source in sources[name]:
            _check_match(facts.file, name, inputs[name], source.details)
        memory = _memory(loaded, inputs[name])
        views = tuple((each.origin, each.view) for each in sources[name])
        feeds.append(Feed(_bytes(memory), views, memory, zero(inputs[name])))
    found = {}
    for name, details in outputs.items():
        if wiring.bypass:
            _check_match(facts.file, name, details, sources[name][-1].details)
        memory = _memory(loaded, details)
        found[name] = Source(
            place + 1, memory, _bytes(memory), zero(details), details
        )
    gates: tuple[Source, ...] = ()
    logits = None
    if wiring.gate is not None:
        gates = sources[wiring.gate]
        for gate in gates:
            _check_gate(facts, gate.details)
    if wiring.exit is not None:
        output = found[wiring.outputs[0]]
        _check_logits(facts.file, output.details, len(opened.bundle.labels))
        logits = Logits(output.memory, output.details)
    return LoadedSegment(
        interpreter=loaded,
        run=opened.runner(loaded, place),
        gates=gates,
        bypass=wiring.bypass,
        feeds=tuple(feeds),
        outputs=found,
        logits=logits,
        madds=facts.madds,
    )


def zero(details: Mapping) -> int:
    """Returns the number that stands for 0 in a tensor of these details."""
    return details["quantization"][1]


def _memory(loaded: Any, details: Mapping) -> np.ndarray:
    """Returns a tensor's own memory, which stays where it is.

    The interpreter refuses to run while its views are held, and copying
    through it costs more than a small segment. All shapes are static, so after
    allocation no tensor moves; the caller keeps the interpreter alive.
    """
    view = loaded.tensor(details["index"])()
    block = (ctypes.c_byte * view.nbytes).from_address(view.ctypes.data)
    return np.frombuffer(block, view.dtype).reshape(view.shape)


def _bytes(memory: np.ndarray) -> memoryview:
    return memory.data.cast("B")


def _check_names(
    file: str, side: str, expected: Iterable[str], found: Iterable[str]
) -> None:
    if set(expected) != set(found):
        raise bundle.InvalidBundle(
            f"`{file}` must have the {side} {sorted(expected)}. "
            f"Received: {sorted(found)}"
        )


def _check_match(
    file: str, name: str, found: Mapping, expected: Mapping
) -> None:
    """Checks that a tensor's shape, type, scale and zero point agree."""
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
            f"`{file}` tensor {name!r} must have the shape, type, scale and "
            "zero point that it has in other segments, "
            f"{pairs[0]}. Received: {pairs[1]}"
        )


def _check_gate(facts: bundle.SegmentFacts, details: Mapping) -> None:
    shape = tuple(map(int, details["shape"]))
    if set(shape) != {1}:
        raise bundle.InvalidBundle(
            f"`{facts.file}` must have a gate of one number per image. "
            f"Received: {facts.wiring.gate!r} of shape {shape}"
        )


def _check_logits(file: str, details: Mapping, labels: int) -> None:
    shape = tuple(map(int, details["shape"]))
    if shape != (1, labels):
        raise bundle.InvalidBundle(
            f"`{file}` must give one logit for each of {labels} labels. "
            f"Received: shape {shape}"
        )
