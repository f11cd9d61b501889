"""The directory that ships: a manifest, one model per exit, and the labels.

`bundle.zip` beside them holds the same files.
"""

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from keras_dynamic.exits import policy as policies
from tflite import archive

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
LABELS = "labels.txt"
ARCHIVE = "bundle.zip"

# Data type of the image's tensor -> what stands for a black pixel.
ZERO_POINTS = {"int8": -128, "float32": 0}

_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


class InvalidBundle(ValueError):
    """A bundle that is incomplete, damaged, or of an unknown format."""


@dataclasses.dataclass(frozen=True)
class InputFacts:
    """How an image enters the first segment.

    A pixel p in 0..255 stands for p / 255. An int8 tensor holds it as p - 128,
    which is why its scale must be 1/255 and its zero point -128; a float32
    tensor holds p * scale.

    Attributes:
        shape: (height, width, channels).
        dtype: Of the tensor: "int8" or "float32".
        scale: 1/255, within half a grey level at white.
        zero_point: -128 for int8, 0 for float32.
    """

    shape: tuple[int, int, int]
    dtype: str = "int8"
    scale: float = 1 / 255
    zero_point: int = -128


@dataclasses.dataclass(frozen=True)
class SegmentFacts:
    """One model of the chain.

    Attributes:
        file: Its name in the directory.
        sha256: Of the file, in hexadecimal.
        bytes: Size of the file.
        inputs: Tensor names: the image, or outputs of earlier segments.
        outputs: Tensor names, the exit's logits first.
        exit: Its place in the chain, from 0.
        madds: Multiply-adds of this segment alone.
        params: Parameters of this segment alone.
    """

    file: str
    sha256: str
    bytes: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    exit: int
    madds: int
    params: int


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest and labels were read and found sound.

    Attributes:
        directory: Where it lies.
        name: The model's name.
        labels: One per class, in the order of the logits.
        input: How an image enters.
        segments: Shallow to deep.
        policy: When to stop.
        provenance: Where it comes from; free-form JSON.
    """

    directory: str
    name: str
    labels: tuple[str, ...]
    input: InputFacts
    segments: tuple[SegmentFacts, ...]
    policy: policies.Policy
    provenance: Mapping[str, Any]

    def model(self, exit: int) -> bytes:
        """Reads a segment's file and compares it with the manifest.

        Raises:
            InvalidBundle: if it is missing or not the file that was written.
        """
        facts = self.segments[exit]
        # One byte more than expected shows that there is more.
        data = _read(self.directory, facts.file, facts.bytes + 1)
        sha256 = hashlib.sha256(data).hexdigest()
        if (len(data), sha256) != (facts.bytes, facts.sha256):
            raise InvalidBundle(
                f"`{facts.file}` must have {facts.bytes} bytes with SHA-256 "
                f"{facts.sha256}. Received: {len(data)} bytes with {sha256}"
            )
        return data


def write(
    directory: str,
    *,
    name: str,
    segments: Sequence[tuple[bytes, Sequence[str], Sequence[str]]],
    madds: Sequence[int],
    params: Sequence[int],
    labels: Sequence[str],
    input: InputFacts,
    policy: policies.Policy,
    provenance: Mapping[str, Any],
) -> Bundle:
    """Writes a bundle; the same arguments always give the same bytes.

    Args:
        directory: New or empty. Not written atomically: publishing the
            finished directory is the caller's business.
        name: The model's name.
        segments: Model, input names and output names of each, shallow to deep.
        madds: Multiply-adds of each segment alone.
        params: Parameters of each segment alone.
        labels: One per class; a line of text each.
        input: How an image enters.
        policy: When to stop.
        provenance: Where the model comes from; JSON values.

    Returns:
        The bundle as `read` finds it.

    Raises:
        ValueError: if an argument breaks one of these rules.
    """
    os.makedirs(directory, exist_ok=True)
    if os.listdir(directory):
        raise ValueError(
            f"`directory` must be new or empty. Received: {directory}"
        )
    if not len(segments) == len(madds) == len(params):
        raise ValueError(
            "`segments`, `madds` and `params` must be equally long. Received: "
            f"{len(segments)}, {len(madds)} and {len(params)}"
        )
    if not labels or any(f"{each}".splitlines() != [each] for each in labels):
        raise ValueError(
            "`labels` must hold one line of text per class. "
            f"Received: {list(labels)}"
        )
    files = {LABELS: "".join(f"{label}\n" for label in labels).encode()}
    facts = []
    for exit, (model, inputs, outputs) in enumerate(segments):
        file = f"exit_{exit}.tflite"
        files[file] = model
        facts.append(
            SegmentFacts(
                file=file,
                sha256=hashlib.sha256(model).hexdigest(),
                bytes=len(model),
                inputs=tuple(inputs),
                outputs=tuple(outputs),
                exit=exit,
                madds=int(madds[exit]),
                params=int(params[exit]),
            )
        )
    manifest = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "labels": LABELS,
        "input": dataclasses.asdict(input),
        "segments": [dataclasses.asdict(each) for each in facts],
        "policy": policy.to_dict(),
        "provenance": dict(provenance),
    }
    text = json.dumps(manifest, indent=2, allow_nan=False) + "\n"
    files = {MANIFEST: text.encode()} | files
    for file, data in files.items():
        with open(os.path.join(directory, file), "wb") as target:
            target.write(data)
    archive.write(os.path.join(directory, ARCHIVE), files)
    return read(directory)


def read(directory: str) -> Bundle:
    """Reads and checks a bundle's manifest and labels.

    The models are checked as they are read, by `Bundle.model`.

    Raises:
        InvalidBundle: if a file is missing, or the manifest has an unknown
            version, lacks a key, has an unknown one, or a value is not what
            `write` would have written.
    """
    try:
        manifest = json.loads(
            _read(directory, MANIFEST), parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidBundle):
            raise
        raise InvalidBundle(
            f"`{MANIFEST}` must be JSON. Received: {error}"
        ) from error
    version = manifest.get("format_version") if type(manifest) is dict else None
    if version != FORMAT_VERSION:
        raise InvalidBundle(
            f"`format_version` must be {FORMAT_VERSION}. Received: {version!r}"
        )
    _expect_keys("manifest", manifest, _MANIFEST)
    _expect_keys("input", manifest["input"], _INPUT)
    for index, each in enumerate(manifest["segments"]):
        _expect_keys(f"segments[{index}]", each, _SEGMENT)
    try:
        policy = policies.Policy.from_dict(manifest["policy"])
    except ValueError as error:
        raise InvalidBundle(f"`policy` is not valid: {error}") from error
    bundle = Bundle(
        directory=directory,
        name=manifest["name"],
        labels=_labels(_read(directory, manifest["labels"])),
        input=InputFacts(**_frozen(manifest["input"])),
        segments=tuple(
            SegmentFacts(**_frozen(each)) for each in manifest["segments"]
        ),
        policy=policy,
        provenance=manifest["provenance"],
    )
    _check_input(bundle.input)
    _check_chain(bundle)
    _check_scheduler(bundle)
    return bundle


def _is_names(value: Any) -> bool:
    return type(value) is list and all(type(each) is str for each in value)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_file(value: Any) -> bool:
    return type(value) is str and _FILE_NAME.fullmatch(value) is not None


def _is_shape(value: Any) -> bool:
    counts = type(value) is list and all(map(_is_count, value))
    return counts and len(value) == 3 and 0 < math.prod(value) < 2**30


# Key -> (what its value must be, in words; the check).
_MANIFEST = {
    "format_version": (f"{FORMAT_VERSION}", lambda v: type(v) is int),
    "name": ("a string", lambda v: type(v) is str),
    "labels": ("a plain file name", _is_file),
    "input": ("an object", lambda v: type(v) is dict),
    "segments": ("a list", lambda v: type(v) is list),
    "policy": ("an object", lambda v: type(v) is dict),
    "provenance": ("an object", lambda v: type(v) is dict),
}
_INPUT = {
    "shape": ("[height, width, channels]", _is_shape),
    "dtype": (f"one of {list(ZERO_POINTS)}", lambda v: v in list(ZERO_POINTS)),
    "scale": ("a number", lambda v: type(v) is float),
    "zero_point": ("an integer", lambda v: type(v) is int),
}
_SEGMENT = {
    "file": ("a plain file name", _is_file),
    "sha256": (
        "64 hexadecimal digits",
        lambda v: type(v) is str and re.fullmatch("[0-9a-f]{64}", v),
    ),
    "bytes": ("a count", _is_count),
    "inputs": ("a list of names", _is_names),
    "outputs": ("a list of names", _is_names),
    "exit": ("a count", _is_count),
    "madds": ("a count", _is_count),
    "params": ("a count", _is_count),
}


def _expect_keys(where: str, value: Any, rules: Mapping) -> None:
    if type(value) is not dict or set(value) != set(rules):
        received = sorted(value) if type(value) is dict else value
        raise InvalidBundle(
            f"`{where}` must have the keys {sorted(rules)}. "
            f"Received: {received}"
        )
    for key, (rule, holds) in rules.items():
        if not holds(value[key]):
            raise InvalidBundle(
                f"`{where}.{key}` must be {rule}. Received: {value[key]!r}"
            )


def _frozen(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(each) if type(each) is list else each
        for key, each in value.items()
    }


def _check_input(facts: InputFacts) -> None:
    if facts.zero_point != ZERO_POINTS[facts.dtype]:
        raise InvalidBundle(
            f"`input.zero_point` must be {ZERO_POINTS[facts.dtype]} for "
            f"{facts.dtype}. Received: {facts.zero_point}"
        )
    if not abs(255 * facts.scale - 1) <= 0.5 / 255:
        raise InvalidBundle(
            f"`input.scale` must be 1/255, {1 / 255}. Received: {facts.scale}"
        )


def _check_chain(bundle: Bundle) -> None:
    """Checks that every segment can be fed by what comes before it."""
    segments = bundle.segments
    exits = [segment.exit for segment in segments]
    if not exits or exits != list(range(bundle.policy.exits)):
        raise InvalidBundle(
            "`segments` must be the exits of `policy`, in order: "
            f"0 to {bundle.policy.exits - 1}. Received: {exits}"
        )
    if len(segments[0].inputs) != 1:
        raise InvalidBundle(
            "`segments[0].inputs` must name one tensor, the image. "
            f"Received: {list(segments[0].inputs)}"
        )
    known = set(segments[0].inputs)
    for segment in segments:
        where = f"segments[{segment.exit}]"
        if not segment.inputs or not known.issuperset(segment.inputs):
            raise InvalidBundle(
                f"`{where}.inputs` must be the image or outputs of earlier "
                f"segments, {sorted(known)}. Received: {list(segment.inputs)}"
            )
        new = set(segment.outputs)
        if not new or len(new) < len(segment.outputs) or new & known:
            raise InvalidBundle(
                f"`{where}.outputs` must be names of its own. "
                f"Received: {list(segment.outputs)}"
            )
        known |= new


def _check_scheduler(bundle: Bundle) -> None:
    scheduler, labels = bundle.policy.scheduler, len(bundle.labels)
    if scheduler and scheduler.classes != labels:
        raise InvalidBundle(
            f"`policy.scheduler` must be of {labels} classes, as the labels "
            f"are. Received: {scheduler.classes}"
        )


def _labels(data: bytes) -> tuple[str, ...]:
    try:
        labels = tuple(data.decode().split("\n"))
    except UnicodeDecodeError as error:
        raise InvalidBundle(
            f"`labels` must be UTF-8. Received: {error}"
        ) from None
    if len(labels) < 2 or labels[-1] or "" in labels[:-1]:
        raise InvalidBundle(
            "`labels` must hold one line per class. "
            f"Received: {len(labels)} lines, some empty"
        )
    return labels[:-1]


def _read(directory: str, file: str, size: int = -1) -> bytes:
    try:
        with open(os.path.join(directory, file), "rb") as source:
            return source.read(size)
    except OSError as error:
        raise InvalidBundle(
            f"`directory` must be a bundle with a file {file}. "
            f"Received: {directory} ({error.strerror})"
        ) from error


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")
