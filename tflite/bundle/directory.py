"""Writes and reads the directory that ships: manifest, models and labels.

`bundle.zip` beside them holds the same files.
"""

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from keras_dynamic.exits.decision.policy import Policy
from tflite.bundle import (
    archive,
    class_names,
    contents,
    input_facts,
    manifest,
)

MANIFEST = manifest.FILE
LABELS = "labels.txt"
ARCHIVE = manifest.ARCHIVE


# The file that stays where the bundle was made.
CALIBRATION = "calibration.npy"


@dataclasses.dataclass(frozen=True)
class Bundle:
    """Holds a bundle whose manifest and labels were read and found sound.

    Attributes:
        directory: Where it lies: a directory, or a bundle.zip.
        name: The model's name.
        labels: One per class, in the order of the logits.
        input: How an image enters.
        segments: In the order in which they run, shallow to deep.
        policy: When to stop, unless another operating point is asked for.
        provenance: Where it comes from; free-form JSON for people to read.
        operating_points: Further policies of the same exits, by name.
        calibration: The file that policies can be fitted to again. None if
            there never was one; it may be absent all the same.
        labels_file: The file with one class per line. In a manifest of version
            1 its name alone, which promises nothing of its content.
    """

    directory: str
    name: str
    labels: tuple[str, ...]
    input: input_facts.InputFacts
    segments: tuple[manifest.SegmentFacts, ...]
    policy: Policy
    provenance: Mapping[str, Any]
    operating_points: Mapping[str, Policy] = dataclasses.field(
        default_factory=dict
    )
    calibration: manifest.FileFacts | None = None
    labels_file: manifest.FileFacts | str = LABELS

    @property
    def files(self) -> tuple[str, ...]:
        """Names all files that ship, the manifest first."""
        labels = self.labels_file
        name = labels if isinstance(labels, str) else labels.file
        return (MANIFEST, name, *(each.file for each in self.segments))

    @property
    def ends(self) -> tuple[int, ...]:
        """Lists the place of the segment that ends each exit, [K]."""
        return tuple(
            place
            for place, facts in enumerate(self.segments)
            if facts.wiring.exit is not None
        )

    @property
    def device_exits(self) -> int:
        """Counts the exits that the device reaches by itself."""
        return sum(
            facts.wiring.exit is not None and facts.place is None
            for facts in self.segments
        )

    @property
    def madds(self) -> tuple[int, ...]:
        """Counts the multiply-adds up to each exit with all gates open, [K]."""
        counted = itertools.accumulate(
            0 if facts.wiring.bypass else facts.madds for facts in self.segments
        )
        return tuple(
            up_to
            for up_to, facts in zip(counted, self.segments, strict=True)
            if facts.wiring.exit is not None
        )

    @property
    def gated(self) -> bool:
        """Tells whether there are segments that an image may skip."""
        return any(facts.wiring.gate is not None for facts in self.segments)

    def model(self, place: int) -> bytes:
        """Reads the file of a segment and compares it with the manifest."""
        return self.content(self.segments[place])

    def content(self, facts: manifest.FileFacts) -> bytes:
        """Reads a file and compares it with the manifest.

        Raises:
            InvalidBundle: if it is missing or not the file that was written.
        """
        return contents.content(self.directory, facts)

    def lacks(self, facts: manifest.FileFacts) -> bool:
        """Tells whether a file is not there, as calibration.npy may be."""
        return contents.lacks(self.directory, facts.file)

    def open_model(self, place: int) -> tuple[BinaryIO, bytes]:
        """Returns a segment's file, open, and its checked content.

        It is for whoever maps the file: its name may mean another one by then.

        Raises:
            InvalidBundle: as `model`; or if the bundle is a bundle.zip.
        """
        return contents.open_content(self.directory, self.segments[place])


def write(
    directory: str,
    *,
    name: str,
    segments: Sequence[manifest.SegmentFacts],
    models: Sequence[bytes],
    labels: Sequence[str],
    input: input_facts.InputFacts,
    policy: Policy,
    provenance: Mapping[str, Any],
    operating_points: Mapping[str, Policy] | None = None,
    calibration: bytes | None = None,
) -> Bundle:
    """Writes a bundle; the same arguments always give the same bytes.

    Args:
        directory: New or empty. It is not written atomically: publishing the
            finished directory is the caller's business.
        name: The model's name.
        segments: From `segment_facts`, in the order in which they run, shallow
            to deep.
        models: The .tflite file of each segment.
        labels: One per class; a line of text each.
        input: How an image enters.
        policy: When to stop, unless another operating point is asked for.
        provenance: Where the model comes from; JSON values.
        operating_points: Further policies of the same exits, by name.
        calibration: From `tflite.bundle.recorded_logits.encode`. It becomes a
            file of the directory, and not of the archive, which ships.

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
    class_names.check(labels)
    listed = "".join(f"{label}\n" for label in labels).encode()
    written = {LABELS: listed}
    for facts, model in zip(segments, models, strict=True):
        _check_model(facts, model)
        written[facts.file] = model
    description = manifest.Manifest(
        name=name,
        labels=manifest.file_facts(LABELS, listed),
        input=input,
        segments=tuple(segments),
        policy=policy,
        provenance=provenance,
        operating_points=operating_points or {},
        calibration=(
            None
            if calibration is None
            else manifest.file_facts(CALIBRATION, calibration)
        ),
    )
    written = {MANIFEST: manifest.encode(description)} | written
    archive.write(os.path.join(directory, ARCHIVE), written)
    if calibration is not None:
        written[CALIBRATION] = calibration
    for file, data in written.items():
        with open(os.path.join(directory, file), "wb") as target:
            target.write(data)
    return read(directory)


def rewrite(
    opened: Bundle,
    directory: str,
    *,
    policy: Policy,
    operating_points: Mapping[str, Policy],
    segments: Sequence[manifest.SegmentFacts] | None = None,
) -> Bundle:
    """Writes a bundle again with other policies, all else byte for byte.

    Args:
        opened: The bundle. Every file of it is checked.
        directory: Another one, new or empty. It is not written atomically.
        policy: When to stop, unless another operating point is asked for.
        operating_points: Further policies of the same exits, by name.
        segments: Those of the bundle with other places, from
            `server_places.placed`; None for the same.

    Returns:
        The new bundle.

    Raises:
        InvalidBundle: if a file is missing or not what the manifest says.
        ValueError: if an argument breaks a rule of `write`.
    """
    return write(
        directory,
        name=opened.name,
        segments=opened.segments if segments is None else segments,
        models=[opened.model(place) for place in range(len(opened.segments))],
        labels=opened.labels,
        input=opened.input,
        policy=policy,
        provenance=opened.provenance,
        operating_points=operating_points,
        calibration=(
            None
            if opened.calibration is None
            else opened.content(opened.calibration)
        ),
    )


def _check_model(facts: manifest.SegmentFacts, model: bytes) -> None:
    """Raises a ValueError if a model is not the one that facts are of."""
    found = manifest.file_facts(facts.file, model)
    if (found.sha256, found.bytes) != (facts.sha256, facts.bytes):
        raise ValueError(
            "`models` must be the files that `segments` are the facts of. "
            f"Received: {found.bytes} other bytes for {facts.file}"
        )


def read(directory: str) -> Bundle:
    """Reads and checks a bundle's manifest and labels.

    The models are checked as they are read, by `Bundle.model`.

    Args:
        directory: Where the files are, or a bundle.zip with them.

    Raises:
        InvalidBundle: if a file is missing, or the manifest has an unknown
            version, lacks a key, has an unknown one, or a value is not what
            `write` would have written.
    """
    description = manifest.decode(contents.text(directory, MANIFEST))
    bundle = Bundle(
        directory=directory,
        name=description.name,
        labels=contents.labels(directory, description.labels),
        input=description.input,
        segments=description.segments,
        policy=description.policy,
        provenance=description.provenance,
        operating_points=description.operating_points,
        calibration=description.calibration,
        labels_file=description.labels,
    )
    _check_scheduler("policy", bundle.policy, bundle.labels)
    for name, point in bundle.operating_points.items():
        _check_scheduler(f"operating_points.{name}", point, bundle.labels)
    return bundle


def _check_scheduler(where: str, policy: Policy, labels: Sequence[str]) -> None:
    scheduler = policy.scheduler
    if scheduler and scheduler.classes != len(labels):
        raise manifest.InvalidBundle(
            f"`{where}.scheduler` must be of {len(labels)} classes, as the "
            f"labels are. Received: {scheduler.classes}"
        )
