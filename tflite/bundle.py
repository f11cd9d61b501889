"""The directory that ships: a manifest, the models of a chain, and the labels.

`bundle.zip` beside them holds the same files.
"""

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from keras_dynamic.exits import policy as policies
from tflite import archive
from tflite import manifest as manifests

MANIFEST = manifests.FILE
LABELS = "labels.txt"
ARCHIVE = "bundle.zip"

InvalidBundle = manifests.InvalidBundle
InputFacts = manifests.InputFacts
SegmentFacts = manifests.SegmentFacts


@dataclasses.dataclass(frozen=True)
class Part:
    """A segment as `write` takes it.

    Attributes:
        model: The .tflite file.
        inputs: As in `SegmentFacts`, like all that follow.
        outputs: See there.
        exit: See there.
        madds: See there.
        params: See there.
        gate: See there.
    """

    model: bytes
    inputs: Sequence[str]
    outputs: Sequence[str]
    exit: int | None
    madds: int
    params: int
    gate: str | None = None


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest and labels were read and found sound.

    Attributes:
        directory: Where it lies.
        name: The model's name.
        labels: One per class, in the order of the logits.
        input: How an image enters.
        segments: In the order in which they run, shallow to deep.
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

    @property
    def ends(self) -> tuple[int, ...]:
        """Place of the segment that ends each exit, [K]."""
        return tuple(
            place
            for place, facts in enumerate(self.segments)
            if facts.exit is not None
        )

    @property
    def gated(self) -> bool:
        """Whether there are segments that an image may skip."""
        return any(facts.gate is not None for facts in self.segments)

    def model(self, place: int) -> bytes:
        """Reads a segment's file and compares it with the manifest.

        Raises:
            InvalidBundle: if it is missing or not the file that was written.
        """
        facts = self.segments[place]
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
    segments: Sequence[Part],
    labels: Sequence[str],
    input: InputFacts,
    policy: policies.Policy,
    provenance: Mapping[str, Any],
) -> Bundle:
    """Writes a bundle; the same arguments always give the same bytes.

    A segment that ends exit k is `exit_{k}.tflite`, any other one
    `segment_{i}.tflite`, with its place i in the chain.

    Args:
        directory: New or empty. Not written atomically: publishing the
            finished directory is the caller's business.
        name: The model's name.
        segments: In the order in which they run, shallow to deep.
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
    if not labels or any(f"{each}".splitlines() != [each] for each in labels):
        raise ValueError(
            "`labels` must hold one line of text per class. "
            f"Received: {list(labels)}"
        )
    facts = []
    files = {LABELS: "".join(f"{label}\n" for label in labels).encode()}
    for place, part in enumerate(segments):
        file = (
            f"segment_{place}.tflite"
            if part.exit is None
            else f"exit_{part.exit}.tflite"
        )
        files[file] = part.model
        facts.append(
            SegmentFacts(
                file=file,
                sha256=hashlib.sha256(part.model).hexdigest(),
                bytes=len(part.model),
                inputs=tuple(part.inputs),
                outputs=tuple(part.outputs),
                exit=part.exit,
                madds=int(part.madds),
                params=int(part.params),
                gate=part.gate,
            )
        )
    manifest = manifests.Manifest(
        name=name,
        labels=LABELS,
        input=input,
        segments=tuple(facts),
        policy=policy,
        provenance=provenance,
    )
    files = {MANIFEST: manifests.encode(manifest)} | files
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
    manifest = manifests.decode(_read(directory, MANIFEST))
    bundle = Bundle(
        directory=directory,
        name=manifest.name,
        labels=_labels(_read(directory, manifest.labels)),
        input=manifest.input,
        segments=manifest.segments,
        policy=manifest.policy,
        provenance=manifest.provenance,
    )
    _check_scheduler(bundle)
    return bundle


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
