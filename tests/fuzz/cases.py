"""The cases of the campaign: what is mutated, and what may come of it."""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import pathlib
import random
import warnings
import zipfile
from collections.abc import Callable, Mapping

import mutations

MANIFEST = "manifest.json"
LABELS = "labels.txt"
ARCHIVE = "bundle.zip"
# A sound segment beside the bundle, which no path in a manifest may reach.
OUTSIDE = "../outside.tflite"

Files = dict[str, "bytes | Link | Sparse"]


@dataclasses.dataclass(frozen=True)
class Link:
    """A symbolic link in a bundle's directory; "" stands for a pipe."""

    target: str


@dataclasses.dataclass(frozen=True)
class Sparse:
    """A file that begins with some bytes and has no others on the disk."""

    start: bytes
    size: int


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is mutated: a bundle's files, or one model under the name "model".

    Attributes:
        name: For the report.
        files: Content by name.
    """

    name: str
    files: Mapping[str, bytes]

    @functools.cached_property
    def segments(self) -> list[str]:
        """The models' names, in the manifest's order."""
        facts = json.loads(self.files[MANIFEST])["segments"]
        return [each["file"] for each in facts]


@dataclasses.dataclass(frozen=True)
class Case:
    """One mutated bundle or model.

    Attributes:
        kind: Name of the mutation.
        subject: Name of what was mutated.
        files: What is there now.
        may_differ: Whether other results than the pristine ones are right:
            the change, if accepted, made a different model or policy.
    """

    kind: str
    subject: str
    files: Files
    may_differ: bool


def bundle(name: str, directory: str) -> Subject:
    """Reads a bundle's files, `bundle.zip` aside."""
    files = {
        each.name: each.read_bytes()
        for each in sorted(pathlib.Path(directory).iterdir())
        if each.suffix != ".zip"
    }
    return Subject(name, files)


def model(name: str, data: bytes) -> Subject:
    """Makes a subject of a model without a bundle."""
    return Subject(name, {"model": data})


def prepare(subject: Subject) -> None:
    """Reads its models once, for all processes that are forked later."""
    models = ["model"] if "model" in subject.files else subject.segments
    for name in models:
        mutations.prepare(subject.files[name])


def draw(
    number: int,
    seed: int,
    subjects: tuple[Subject, ...],
    more: Mapping[str, tuple[Callable, bool]] | None = None,
) -> Case:
    """Returns a case of the campaign, always the same one.

    Args:
        number: Of the case.
        seed: Of the campaign.
        subjects: What is mutated.
        more: Further kinds for bundles, drawn as often as all of ours.
    """
    rng = random.Random(f"{seed}/{number}")
    # A model alone takes longest, as it is cut first.
    subject = rng.choice(
        [each for each in subjects if "model" not in each.files] * 3
        + [each for each in subjects if "model" in each.files]
    )
    kinds = _MODEL_KINDS if "model" in subject.files else _BUNDLE_KINDS
    if more and rng.random() < 0.5:
        kinds = tuple(more)
    kind = rng.choice(kinds)
    make, may_differ = {**_KINDS, **(more or {})}[kind]
    if "model" in subject.files:
        files = {"model": make(subject.files["model"], rng)}
    else:
        files = make(subject, rng, subjects)
    return Case(kind, subject.name, files, may_differ)


def write(files: Files, directory: str) -> None:
    """Writes a bundle's files, and the sound segment beside them."""
    os.makedirs(directory)
    for name, content in files.items():
        path = os.path.join(directory, name)
        if isinstance(content, bytes):
            with open(path, "wb") as file:
                file.write(content)
        elif isinstance(content, Sparse):
            with open(path, "wb") as file:
                file.write(content.start)
                file.truncate(content.size)
        elif content.target:
            os.symlink(content.target, path)
        else:
            os.mkfifo(path)


def fixed(files: Files) -> Files:
    """Makes the manifest's sizes and hashes those of the files.

    So the damage gets past them, to the checks behind and the runtime.
    """
    values = json.loads(files[MANIFEST])
    others = [values["labels"], values.get("calibration")]
    # Version 1 has no more of the labels than their name.
    known = [each for each in others if isinstance(each, dict)]
    for facts in [*values["segments"], *known]:
        data = files[facts["file"]]
        facts["bytes"] = len(data)
        facts["sha256"] = hashlib.sha256(data).hexdigest()
    return {**files, MANIFEST: json.dumps(values).encode()}


def _damaged(mutate: Callable, fix: bool) -> Callable:
    """Damages one segment, rarely two."""

    def make(subject: Subject, rng: random.Random, _) -> Files:
        files = dict(subject.files)
        for name in rng.sample(subject.segments, rng.choice((1, 1, 1, 2))):
            files[name] = mutate(files[name], rng)
        return fixed(files) if fix else files

    return make


def _any_mutation(data: bytes, rng: random.Random) -> bytes:
    return rng.choice((mutations.flipped, mutations.aimed, mutations.resized))(
        data, rng
    )


def _swapped(fix: bool) -> Callable:
    """Exchanges two segments, or takes one of another bundle."""

    def make(subject: Subject, rng: random.Random, subjects) -> Files:
        files = dict(subject.files)
        names = subject.segments
        others = [each for each in subjects if "model" not in each.files]
        name = rng.choice(names)
        if rng.random() < 0.5:
            other = rng.choice(names)
            files[name], files[other] = files[other], files[name]
        else:
            other = rng.choice(others)
            files[name] = other.files[rng.choice(other.segments)]
        return fixed(files) if fix else files

    return make


def _removed(subject: Subject, rng: random.Random, _) -> Files:
    files = dict(subject.files)
    name = rng.choice(sorted(files))
    if rng.random() < 0.5:
        del files[name]
    else:
        files[name] = rng.choice((b"", b"\n", b"{}", bytes(100), b"PK\3\4"))
    return files


def _of_manifest(mutate: Callable) -> Callable:
    def make(subject: Subject, rng: random.Random, _) -> Files:
        data = mutate(subject.files[MANIFEST], rng)
        return {**subject.files, MANIFEST: data}

    return make


def _paths(subject: Subject, rng: random.Random, _) -> Files:
    """Names a file by a path, that of the sound segment among others."""
    values = json.loads(subject.files[MANIFEST])
    paths = (*mutations.PATHS, OUTSIDE, OUTSIDE, f"{os.sep}tmp{os.sep}x")
    if rng.random() < 0.3:
        name = rng.choice(paths)
        if isinstance(values["labels"], dict):
            values["labels"]["file"] = name
        else:
            values["labels"] = name
    else:
        rng.choice(values["segments"])["file"] = rng.choice(paths)
    return {**subject.files, MANIFEST: json.dumps(values).encode()}


def _counts(subject: Subject, rng: random.Random, _) -> Files:
    """Claims huge sizes, shapes or numbers of segments."""
    values = json.loads(subject.files[MANIFEST])
    huge = rng.choice((2**30, 2**31, 2**40, 2**63 - 2, 2**63, 10**30))
    what = rng.randrange(4)
    if what == 0:
        rng.choice(values["segments"])["bytes"] = huge
    elif what == 1:
        values["input"]["shape"][rng.randrange(3)] = rng.choice(
            (huge, 2**14, 2**20, 2**26)
        )
    elif what == 2:
        values["input"]["shape"] = [2**10, 2**10, rng.choice((2**9, 2**10))]
    else:
        values["segments"] *= rng.choice((2, 1000))
    return {**subject.files, MANIFEST: json.dumps(values).encode()}


def _written(subject: Subject, rng: random.Random, _) -> Files:
    """Writes the manifest in ways that JSON allows, or nearly."""
    text = subject.files[MANIFEST].decode()
    depth = rng.choice((100, 100_000, 3_000_000))
    changed = rng.choice(
        (
            lambda: text.replace("[", "[" * depth, 1),
            lambda: '{"a":' * depth,
            lambda: text.replace("{", '{"provenance": {}, "policy": null, ', 1),
            lambda: text + text,
            lambda: "\ufeff" + text,
            lambda: text.replace(
                "1.0", rng.choice(("NaN", "Infinity", "1e999"))
            ),
            lambda: text.replace(
                "1.0", "1" * rng.choice((400, 5_000, 300_000))
            ),
            lambda: text.replace('"name": "', '"name": "' + "x" * depth, 1),
            lambda: " " * 5_000_000 + text,
            lambda: text.replace('"', "'"),
        )
    )()
    return {**subject.files, MANIFEST: changed.encode()}


def _links(subject: Subject, rng: random.Random, _) -> Files:
    """Puts a link or a pipe in a file's place."""
    files: Files = dict(subject.files)
    targets = ("/dev/zero", "/dev/random", ".", "loop", "", OUTSIDE)
    target = rng.choice((*targets, MANIFEST, LABELS, "/nowhere"))
    name = rng.choice(sorted(files))
    files[name] = Link(target)
    if target == "loop":
        files["loop"] = Link("loop")
    if rng.random() < 0.3 and name not in (MANIFEST, LABELS):
        # As many bytes as the reader can be made to ask for.
        values = json.loads(files[MANIFEST])
        for facts in values["segments"]:
            if facts["file"] == name:
                facts["bytes"] = rng.choice((2**31, 2**40))
        files[MANIFEST] = json.dumps(values).encode()
    return files


def _labels(subject: Subject, rng: random.Random, _) -> Files:
    data = subject.files[LABELS]
    changed = rng.choice(
        (
            lambda: mutations.flipped(data, rng),
            lambda: mutations.resized(data, rng),
            lambda: data * 1000,
            lambda: b"x" * 5_000_000,
            lambda: b"\n" * 5_000_000,
            lambda: data.replace(b"\n", b"\r\n"),
        )
    )()
    files = {**subject.files, LABELS: changed}
    return fixed(files) if rng.random() < 0.5 else files


def _zipped(subject: Subject, rng: random.Random, _) -> Files:
    """Damages a bundle.zip, or what its records say of the files."""
    stream = io.BytesIO()
    names = list(subject.files)
    packed = rng.choice((zipfile.ZIP_STORED,) * 5 + (zipfile.ZIP_DEFLATED,))
    extra = {}
    what = rng.randrange(5)
    if what == 0:  # Names that lead elsewhere, or are there twice.
        extra = {rng.choice((*mutations.PATHS, OUTSIDE, *names)): b"x"}
    elif what == 1:  # What unpacks to a hundred times its size.
        packed = zipfile.ZIP_DEFLATED
        extra = {rng.choice(("bomb", LABELS)): bytes(2**25)}
    with zipfile.ZipFile(stream, "w", packed) as archive, _no_warnings():
        for name, data in [*subject.files.items(), *extra.items()]:
            archive.writestr(zipfile.ZipInfo(name), data, packed)
    data = bytearray(stream.getvalue())
    if what == 2:
        return {ARCHIVE: mutations.resized(bytes(data), rng)}
    if what == 3:  # The directory: sizes, offsets, counts, methods.
        start = data.index(b"PK\1\2")
        for _ in range(rng.choice((1, 1, 2, 4))):
            at = rng.randrange(start, len(data) - 4)
            number = rng.choice(mutations.EXTREMES) % 2**32
            width = rng.choice((1, 2, 4))
            data[at : at + width] = number.to_bytes(4, "little")[:width]
    elif what == 4:
        return {ARCHIVE: mutations.flipped(bytes(data), rng)}
    return {ARCHIVE: bytes(data)}


@contextlib.contextmanager
def _no_warnings():
    """Without zipfile's remark that a name is there twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# Kind -> how it is made, and whether other results may be right.
_KINDS: dict[str, tuple[Callable, bool]] = {
    "segment flipped": (_damaged(mutations.flipped, True), True),
    "segment aimed": (_damaged(mutations.aimed, True), True),
    "segment edited": (_damaged(mutations.edited, True), True),
    "segment resized": (_damaged(mutations.resized, True), True),
    "segments swapped": (_swapped(True), True),
    "hash wrong": (_damaged(_any_mutation, False), False),
    "hash wrong, swapped": (_swapped(False), False),
    "file missing": (_removed, False),
    "manifest values": (_of_manifest(mutations.manifest), True),
    "manifest policy": (_of_manifest(mutations.policy), True),
    "manifest paths": (_paths, False),
    "manifest counts": (_counts, False),
    "manifest written": (_written, True),
    "links": (_links, False),
    "labels": (_labels, True),
    "zip": (_zipped, True),
    "model flipped": (mutations.flipped, True),
    "model aimed": (mutations.aimed, True),
    "model edited": (mutations.edited, True),
    "model resized": (mutations.resized, True),
}
# Those whose damage gets furthest are drawn most.
_MODEL_KINDS = ("model flipped", "model resized") + (
    *("model aimed", "model edited") * 2,
)
_BUNDLE_KINDS = (
    *(kind for kind in _KINDS if kind not in _MODEL_KINDS),
    *("segment flipped", "segment aimed", "segment edited") * 4,
    *("zip", "manifest values", "manifest policy"),
)
