"""Reads, checks and writes a bundle's manifest."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from keras_dynamic.exits.decision.policy import Policy
from tflite.bundle import input_facts, manifest_rules, server_places, wiring
from tflite.bundle.input_facts import FitFacts, InputFacts
from tflite.bundle.invalid_bundle import InvalidBundle
from tflite.bundle.wiring import Wiring
from tflite.format import strict_json

FORMAT_VERSION = 2
# Version 1 had the labels' name alone, and so no hash of them; the size that
# images were stored in was in `provenance`, if anywhere.
READABLE_VERSIONS = (1, 2)
FILE = "manifest.json"
ARCHIVE = "bundle.zip"

_POINT_NAME = re.compile(r"[a-z0-9_-]{1,255}")


@dataclasses.dataclass(frozen=True)
class FileFacts:
    """Describes a file beside the manifest.

    Attributes:
        file: Its name in the directory.
        sha256: SHA-256 of its content, in hexadecimal.
        bytes: Its size.
    """

    file: str
    sha256: str
    bytes: int


@dataclasses.dataclass(frozen=True)
class SegmentFacts(FileFacts):
    """Describes one model of the chain.

    Attributes:
        wiring: Its tensors, its exit and its gate.
        madds: Multiply-adds of this segment alone.
        params: Parameters of this segment alone.
        place: "server" if it may run elsewhere; None for the device.
    """

    wiring: Wiring
    madds: int
    params: int
    place: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns the facts as one flat object of JSON values."""
        row = dataclasses.asdict(self)
        row |= row.pop("wiring")
        keys = (*manifest_rules.SEGMENT, *manifest_rules.SEGMENT_OPTIONS)
        return {key: row[key] for key in keys}


def file_facts(file: str, data: bytes) -> FileFacts:
    """Returns the facts of a file that has a name and a content."""
    return FileFacts(file, hashlib.sha256(data).hexdigest(), len(data))


def segment_facts(
    place: int, model: bytes, wiring: Wiring, *, madds: int, params: int
) -> SegmentFacts:
    """Returns the facts of a segment.

    Its file is `exit_{k}.tflite` if it ends exit k, else `segment_{i}.tflite`.

    Args:
        place: Its place i in the chain.
        model: The .tflite file.
        wiring: Its tensors, its exit and its gate.
        madds: Multiply-adds of this segment alone.
        params: Parameters of this segment alone.
    """
    exit = wiring.exit
    name = f"segment_{place}" if exit is None else f"exit_{exit}"
    facts = file_facts(f"{name}.tflite", model)
    return SegmentFacts(
        **vars(facts), wiring=wiring, madds=int(madds), params=int(params)
    )


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Holds all that a manifest says.

    Attributes:
        name: The model's name.
        labels: The file with one class per line. In a manifest of version 1
            its name alone, which promises nothing of its content.
        input: How an image enters.
        segments: In the order in which they run.
        policy: When to stop, unless another operating point is asked for.
        provenance: Where the model comes from; free-form JSON, which is shown
            to people and read by no code.
        operating_points: Further policies of the same exits, by name.
        calibration: The file that policies can be fitted to again; None if
            there is no such file. It stays where the bundle was made: a device
            needs none, and the file may be absent.
    """

    name: str
    labels: FileFacts | str
    input: InputFacts
    segments: tuple[SegmentFacts, ...]
    policy: Policy
    provenance: Mapping[str, Any]
    operating_points: Mapping[str, Policy] = dataclasses.field(
        default_factory=dict
    )
    calibration: FileFacts | None = None


def encode(manifest: Manifest) -> bytes:
    """Returns the file's content, always the same for the same facts.

    It is of `FORMAT_VERSION`: the labels must have size and hash.

    Without gates, places, operating points or calibration the content is what
    it was before these existed. A bundle with them has the same
    `format_version`: a reader that does not know a key refuses it.
    """
    values = {
        "format_version": FORMAT_VERSION,
        "name": manifest.name,
        "labels": dataclasses.asdict(manifest.labels),
        "input": dataclasses.asdict(manifest.input),
        "segments": [_encoded(each) for each in manifest.segments],
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
        values = strict_json.decode(data)
    except strict_json.InvalidJSON as error:
        raise InvalidBundle(
            f"`{FILE}` must be JSON. Received: {error}"
        ) from error
    version = values.get("format_version") if type(values) is dict else None
    if type(version) is not int or version not in READABLE_VERSIONS:
        raise InvalidBundle(
            f"`format_version` must be one of {list(READABLE_VERSIONS)}. "
            f"Received: {manifest_rules.shown(version)}"
        )
    found = _of_version_1(values) if version == 1 else _of_version_2(values)
    _check_exits(found)
    _check_points(found)
    wiring.check([each.wiring for each in found.segments])
    server_places.check(
        [each.wiring for each in found.segments],
        [each.place for each in found.segments],
    )
    _check_files(found)
    return found


def _of_version_2(values: Mapping[str, Any]) -> Manifest:
    _expect(values, manifest_rules.MANIFEST)
    labels, facts = values["labels"], values["input"]
    manifest_rules.expect("labels", labels, manifest_rules.CONTENT)
    manifest_rules.expect("input", facts, manifest_rules.INPUT)
    manifest_rules.expect("input.fit", facts["fit"], manifest_rules.FIT)
    fit = FitFacts(**facts["fit"])
    entering = InputFacts(**_frozen({**facts, "fit": fit}))
    input_facts.check(entering)
    return _manifest(
        values, FileFacts(**labels), entering, values["provenance"]
    )


def _of_version_1(values: Mapping[str, Any]) -> Manifest:
    """Reads version 1, which had no hash of the labels, and no `fit`."""
    _expect(values, manifest_rules.MANIFEST_OF_VERSION_1)
    manifest_rules.expect(
        "input", values["input"], manifest_rules.INPUT_OF_VERSION_1
    )
    provenance = dict(values["provenance"])
    entering = InputFacts(**_frozen(values["input"]))
    if "stored_size" in provenance:
        fit = FitFacts(provenance.pop("stored_size"))
        entering = dataclasses.replace(entering, fit=fit)
    input_facts.check(entering, "provenance.stored_size")
    return _manifest(values, values["labels"], entering, provenance)


def _expect(values: Mapping[str, Any], needed: Mapping) -> None:
    manifest_rules.expect(
        "manifest", values, needed, manifest_rules.MANIFEST_OPTIONS
    )


def _manifest(
    values: Mapping[str, Any],
    labels: FileFacts | str,
    entering: InputFacts,
    provenance: Mapping[str, Any],
) -> Manifest:
    """Reads the keys that are the same in all versions."""
    for index, each in enumerate(values["segments"]):
        manifest_rules.expect(
            f"segments[{index}]",
            each,
            manifest_rules.SEGMENT,
            manifest_rules.SEGMENT_OPTIONS,
        )
    calibration = values.get("calibration")
    if calibration is not None:
        manifest_rules.expect(
            "calibration", calibration, manifest_rules.CONTENT
        )
    return Manifest(
        name=values["name"],
        labels=labels,
        input=entering,
        segments=tuple(_decoded(_frozen(each)) for each in values["segments"]),
        policy=_policy("policy", values["policy"]),
        provenance=provenance,
        operating_points=_points(values.get("operating_points", {})),
        calibration=calibration and FileFacts(**calibration),
    )


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


def _encoded(facts: SegmentFacts) -> dict[str, Any]:
    """Returns a segment's object; it lacks options that are none."""
    row = facts.to_dict()
    for option in manifest_rules.SEGMENT_OPTIONS:
        if row[option] is None or row[option] is False:
            del row[option]
    return row


def _decoded(row: Mapping[str, Any]) -> SegmentFacts:
    names = {each.name for each in dataclasses.fields(Wiring)} & set(row)
    found = Wiring(**{name: row[name] for name in names})
    others = {key: row[key] for key in row if key not in names}
    return SegmentFacts(**others, wiring=found)


def _points(values: Mapping[str, Any]) -> dict[str, Policy]:
    for name in values:
        check_point_name(name)
    return {
        name: _policy(f"operating_points.{name}", each)
        for name, each in values.items()
    }


def _policy(where: str, values: Any) -> Policy:
    try:
        return Policy.from_dict(values)
    except ValueError as error:
        raise InvalidBundle(f"`{where}` is not valid: {error}") from error


def _frozen(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(each) if type(each) is list else each
        for key, each in value.items()
    }


def _check_files(manifest: Manifest) -> None:
    """Checks that each file is named once, and the size of all segments."""
    labels = manifest.labels
    names = [labels if isinstance(labels, str) else labels.file, FILE, ARCHIVE]
    names += [each.file for each in manifest.segments]
    if manifest.calibration is not None:
        names.append(manifest.calibration.file)
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise InvalidBundle(
            "Each `file` must be another one, and none of them "
            f"{FILE} or {ARCHIVE}. Received: {manifest_rules.shown(twice)}"
        )
    total = sum(each.bytes for each in manifest.segments)
    if total > manifest_rules.MAX_FILE_BYTES:
        raise InvalidBundle(
            "The `bytes` of all `segments` must be at most "
            f"{manifest_rules.MAX_FILE_BYTES}. Received: {total}"
        )


def _check_exits(manifest: Manifest) -> None:
    ends = [each.wiring.exit for each in manifest.segments]
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
