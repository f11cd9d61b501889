"""What a bundle's manifest says, and what must be true of it."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from keras_dynamic.exits import policy as policies

FORMAT_VERSION = 1
FILE = "manifest.json"

# Data type of the image's tensor -> what stands for a black pixel.
ZERO_POINTS = {"int8": -128, "float32": 0}

_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_POINT_NAME = re.compile(r"[a-z0-9_-]+")


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
class FileFacts:
    """A file beside the manifest.

    Attributes:
        file: Its name in the directory.
        sha256: Of its content, in hexadecimal.
        bytes: Its size.
    """

    file: str
    sha256: str
    bytes: int


@dataclasses.dataclass(frozen=True)
class SegmentFacts(FileFacts):
    """One model of the chain.

    Attributes:
        inputs: Tensor names: the image, or outputs of earlier segments.
        outputs: Tensor names, the exit's logits first.
        exit: The exit that it ends, from 0; None if it ends none.
        madds: Multiply-adds of this segment alone.
        params: Parameters of this segment alone.
        gate: Name of an earlier segment's output, one number per image. Where
            that is 0 the segment is not run: its bypass is or, if the next one
            is none, its outputs are all 0. None, and no key in the manifest,
            if it always runs.
        bypass: Whether it runs where the segment before it, which has a gate,
            does not, and gives the same outputs. No key if it does not.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    exit: int | None
    madds: int
    params: int
    gate: str | None = None
    bypass: bool = False


@dataclasses.dataclass(frozen=True)
class Manifest:
    """All of it.

    Attributes:
        name: The model's name.
        labels: File with one class per line.
        input: How an image enters.
        segments: In the order in which they run.
        policy: When to stop, unless another operating point is asked for.
        provenance: Where the model comes from; free-form JSON.
        operating_points: Further policies of the same exits, by name.
        calibration: What policies can be fitted to again; None if there is no
            such file. It stays where the bundle was made: a device needs none,
            and the file may be absent.
    """

    name: str
    labels: str
    input: InputFacts
    segments: tuple[SegmentFacts, ...]
    policy: policies.Policy
    provenance: Mapping[str, Any]
    operating_points: Mapping[str, policies.Policy] = dataclasses.field(
        default_factory=dict
    )
    calibration: FileFacts | None = None


def encode(manifest: Manifest) -> bytes:
    """Returns the file's content, always the same for the same facts.

    A bundle without gates is what it was before there were gates, and so with
    operating points and calibration. One with them has the same
    `format_version`: a reader that does not know a key refuses it.
    """
    segments = [dataclasses.asdict(each) for each in manifest.segments]
    for each in segments:
        for option in _SEGMENT_OPTIONS:
            if each[option] is None or each[option] is False:
                del each[option]
    values = {
        "format_version": FORMAT_VERSION,
        "name": manifest.name,
        "labels": manifest.labels,
        "input": dataclasses.asdict(manifest.input),
        "segments": segments,
        "policy": manifest.policy.to_dict(),
        "provenance": dict(manifest.provenance),
    }
    if manifest.operating_points:
        values["operating_points"] = {
            name: point.to_dict()
            for name, point in sorted(manifest.operating_points.items())
        }
    if manifest.calibration is not None:
        values["calibration"] = dataclasses.asdict(manifest.calibration)
    return (json.dumps(values, indent=2, allow_nan=False) + "\n").encode()


def decode(data: bytes) -> Manifest:
    """Reads and checks a file's content.

    Raises:
        InvalidBundle: if it has an unknown version, lacks a key, has an
            unknown one, or a value is not what `encode` would have written; or
            if a segment cannot be fed by those before it.
    """
    try:
        values = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidBundle(
            f"`{FILE}` must be JSON. Received: {error}"
        ) from error
    version = values.get("format_version") if type(values) is dict else None
    if version != FORMAT_VERSION:
        raise InvalidBundle(
            f"`format_version` must be {FORMAT_VERSION}. Received: {version!r}"
        )
    _expect_keys("manifest", values, _MANIFEST, _MANIFEST_OPTIONS)
    _expect_keys("input", values["input"], _INPUT)
    for index, each in enumerate(values["segments"]):
        _expect_keys(f"segments[{index}]", each, _SEGMENT, _SEGMENT_OPTIONS)
    calibration = values.get("calibration")
    if calibration is not None:
        _expect_keys("calibration", calibration, _CONTENT)
    found = Manifest(
        name=values["name"],
        labels=values["labels"],
        input=InputFacts(**_frozen(values["input"])),
        segments=tuple(
            SegmentFacts(**_frozen(each)) for each in values["segments"]
        ),
        policy=_policy("policy", values["policy"]),
        provenance=values["provenance"],
        operating_points=_points(values.get("operating_points", {})),
        calibration=calibration and FileFacts(**calibration),
    )
    _check_input(found.input)
    _check_exits(found)
    _check_points(found)
    _check_chain(found.segments)
    return found


def check_point_name(name: str) -> None:
    """Checks the name of an operating point.

    Raises:
        InvalidBundle: if it has other characters than a-z, 0-9, _ and -.
    """
    if not _POINT_NAME.fullmatch(name):
        raise InvalidBundle(
            "An operating point's `name` must be of a-z, 0-9, _ and -. "
            f"Received: {name!r}"
        )


def _points(values: Mapping[str, Any]) -> dict[str, policies.Policy]:
    for name in values:
        check_point_name(name)
    return {
        name: _policy(f"operating_points.{name}", each)
        for name, each in values.items()
    }


def _policy(where: str, values: Any) -> policies.Policy:
    try:
        return policies.Policy.from_dict(values)
    except ValueError as error:
        raise InvalidBundle(f"`{where}` is not valid: {error}") from error


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
_MANIFEST_OPTIONS = {
    "operating_points": ("an object", lambda v: type(v) is dict),
    "calibration": ("an object", lambda v: type(v) is dict),
}
_INPUT = {
    "shape": ("[height, width, channels]", _is_shape),
    "dtype": (f"one of {list(ZERO_POINTS)}", lambda v: v in list(ZERO_POINTS)),
    "scale": ("a number", lambda v: type(v) is float),
    "zero_point": ("an integer", lambda v: type(v) is int),
}
_CONTENT = {
    "file": ("a plain file name", _is_file),
    "sha256": (
        "64 hexadecimal digits",
        lambda v: type(v) is str and re.fullmatch("[0-9a-f]{64}", v),
    ),
    "bytes": ("a count", _is_count),
}
_SEGMENT = {
    **_CONTENT,
    "inputs": ("a list of names", _is_names),
    "outputs": ("a list of names", _is_names),
    "exit": ("a count or null", lambda v: v is None or _is_count(v)),
    "madds": ("a count", _is_count),
    "params": ("a count", _is_count),
}
_SEGMENT_OPTIONS = {
    "gate": ("a name", lambda v: type(v) is str),
    "bypass": ("true, or no key", lambda v: v is True),
}


def _expect_keys(
    where: str, value: Any, rules: Mapping, options: Mapping | None = None
) -> None:
    options = options or {}
    keys = set(value) if type(value) is dict else set()
    if not set(rules) <= keys <= {*rules, *options}:
        may = f", and may have {sorted(options)}" if options else ""
        received = sorted(value) if type(value) is dict else value
        raise InvalidBundle(
            f"`{where}` must have the keys {sorted(rules)}{may}. "
            f"Received: {received}"
        )
    for key, (rule, holds) in {**rules, **options}.items():
        if key in keys and not holds(value[key]):
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


def _check_exits(manifest: Manifest) -> None:
    ends = [each.exit for each in manifest.segments]
    exits = [exit for exit in ends if exit is not None]
    if exits != list(range(manifest.policy.exits)) or ends[-1] is None:
        raise InvalidBundle(
            "`segments` must be the exits of `policy`, in order: "
            f"0 to {manifest.policy.exits - 1}, the last one at the end. "
            f"Received: {ends}"
        )


def _check_points(manifest: Manifest) -> None:
    exits = manifest.policy.exits
    for name, point in manifest.operating_points.items():
        if point.exits != exits:
            raise InvalidBundle(
                f"`operating_points.{name}` must have {exits} exits, as "
                f"`policy` has. Received: {point.exits}"
            )


def _check_chain(segments: tuple[SegmentFacts, ...]) -> None:
    """Checks that every segment can be fed by what comes before it."""
    if len(segments[0].inputs) != 1:
        raise InvalidBundle(
            "`segments[0].inputs` must name one tensor, the image. "
            f"Received: {list(segments[0].inputs)}"
        )
    known = set(segments[0].inputs)
    computed: set[str] = set()
    for index, segment in enumerate(segments):
        where = f"segments[{index}]"
        if segment.bypass:
            _check_bypass(
                where, segments[index - 1] if index else None, segment
            )
            replaced = set(segment.outputs)
            known -= replaced
            computed -= replaced
        if not segment.inputs or not known.issuperset(segment.inputs):
            raise InvalidBundle(
                f"`{where}.inputs` must be the image or outputs of earlier "
                f"segments, {sorted(known)}. Received: {list(segment.inputs)}"
            )
        if segment.gate is not None and segment.gate not in computed:
            raise InvalidBundle(
                f"`{where}.gate` must be an output of an earlier segment, one "
                f"of {sorted(computed)}. Received: {segment.gate!r}"
            )
        if segment.gate is not None and segment.exit is not None:
            raise InvalidBundle(
                f"`{where}` must not have a gate, as it ends an exit. "
                f"Received: exit {segment.exit}, gate {segment.gate!r}"
            )
        new = set(segment.outputs)
        if not new or len(new) < len(segment.outputs) or new & known:
            raise InvalidBundle(
                f"`{where}.outputs` must be names of its own. "
                f"Received: {list(segment.outputs)}"
            )
        known |= new
        computed |= new


def _check_bypass(
    where: str, before: SegmentFacts | None, segment: SegmentFacts
) -> None:
    if before is None or before.gate is None:
        raise InvalidBundle(
            f"`{where}.bypass` must be of a segment behind one with a gate. "
            "Received: one behind none"
        )
    if segment.gate is not None or segment.exit is not None:
        raise InvalidBundle(
            f"`{where}` must have no gate and end no exit, as it is a bypass. "
            f"Received: exit {segment.exit}, gate {segment.gate!r}"
        )
    if segment.outputs != before.outputs:
        raise InvalidBundle(
            f"`{where}.outputs` must be those of the segment that it bypasses, "
            f"{list(before.outputs)}. Received: {list(segment.outputs)}"
        )


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")
