"""What is done to a bundle by someone who knows its readers.

A kind takes a `random.Random` and what it changes, as in `cases`.
"""

import hashlib
import io
import json
import random
import struct
import zipfile

import cases
import mutations
import numpy as np
from cases import ARCHIVE, LABELS, MANIFEST, Files, Link, Sparse, Subject

from tflite.format import model_file

CALIBRATION = "calibration.npy"
_ESCAPES = "\x1b[2J\x1b]0;x\x07\x9b31m\x7f\u202e"


def operators(subject: Subject, rng: random.Random, _) -> Files:
    """Says that all operators of a kind are of another one."""
    files = dict(subject.files)
    name = rng.choice(subject.segments)
    whole = model_file.read(files[name])
    code = rng.choice(whole.operatorCodes)
    number = rng.choice((49, rng.randrange(210)))  # SPLIT
    code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
    files[name] = model_file.write(whole)
    return cases.fixed(files)


def labels(subject: Subject, rng: random.Random, _) -> Files:
    """Exchanges the names of two classes."""
    lines = subject.files[LABELS].splitlines()
    rng.shuffle(lines)
    data = b"".join(line + b"\n" for line in lines)
    return {**subject.files, LABELS: data}


def sparse(subject: Subject, rng: random.Random, _) -> Files:
    """Makes a file huge; the manifest names its old size."""
    name, size = _enlarged(rng, sorted(subject.files))
    return {**subject.files, name: Sparse(subject.files[name], size)}


def sparse_as_named(subject: Subject, rng: random.Random, _) -> Files:
    """Makes a file huge, of the size that the manifest names."""
    files: Files = dict(subject.files)
    values = json.loads(files[MANIFEST])
    others = [values["labels"], values.get("calibration")]
    named = {
        each["file"]: each
        for each in [*values["segments"], *others]
        if isinstance(each, dict)
    }
    name, size = _enlarged(rng, sorted(named))
    named[name]["bytes"] = size
    if size <= 2**29 and rng.random() < 0.5:
        zeros = bytes(size - len(files[name]))
        digest = hashlib.sha256(files[name] + zeros)
        named[name]["sha256"] = digest.hexdigest()
    files[MANIFEST] = json.dumps(values).encode()
    files[name] = Sparse(files[name], size)
    return files


def _enlarged(rng: random.Random, names: list[str]) -> tuple[str, int]:
    """Chooses one of some files, and a size for it."""
    sizes = (2**26, 2**29, 2**29 + 1, 3 * 2**30, 2**40)
    return rng.choice(names), rng.choice(sizes)


def repeated(subject: Subject, rng: random.Random, _) -> Files:
    """Says something of the manifest many times over."""
    values = json.loads(subject.files[MANIFEST])
    count = rng.choice((2, 1000, 100_000, 500_000))
    segment = rng.choice(values["segments"])
    side = rng.choice(("inputs", "outputs"))
    what = rng.randrange(6)
    if what == 0:
        segment[side] *= count
    elif what == 1:
        segment[side] = [f"{i}" for i in range(count)]
    elif what == 2:
        values["segments"] *= min(count, 10_000)
    elif what == 3:
        values["operating_points"] = dict.fromkeys(
            (f"p{i}" for i in range(min(count, 20_000))), values["policy"]
        )
    elif what == 4:
        values["provenance"] = {f"k{i}": i for i in range(count)}
    else:
        values["policy"]["thresholds"] *= count
    return {**subject.files, MANIFEST: json.dumps(values).encode()}


def fitted(subject: Subject, rng: random.Random, _) -> Files:
    """Says what images are to be fitted to, or anything else."""
    values = json.loads(subject.files[MANIFEST])
    size = rng.choice(
        (60_000, 8, 9, 7, 4000, 2**31, 10**30, -1, 8.0, "8", None, [8])
    )
    if rng.random() < 0.3:  # As version 1 had it.
        values["format_version"] = 1
        values["labels"] = LABELS
        del values["input"]["fit"]
        values["provenance"]["stored_size"] = size
    else:
        values["input"]["fit"]["stored_size"] = size
    if rng.random() < 0.3:
        fit = values["input"].get("fit", {})
        fit[rng.choice(("crop", "resampling", "x"))] = mutations.hostile(rng)
    if rng.random() < 0.3:
        values["provenance"]["x"] = mutations.hostile(rng)
    return {**subject.files, MANIFEST: json.dumps(values).encode()}


def escapes(subject: Subject, rng: random.Random, _) -> Files:
    """Puts what drives a terminal wherever a string may be."""
    files = dict(subject.files)
    values = json.loads(files[MANIFEST])
    what = rng.randrange(4)
    if what == 0:
        values["name"] = _ESCAPES + "\n"
    elif what == 1:
        values["provenance"] = {_ESCAPES: {"\n": [_ESCAPES]}}
    elif what == 2:
        rng.choice(values["segments"])["inputs"][0] = _ESCAPES
    else:
        text = files[LABELS].decode().replace("\n", f"{_ESCAPES}\n")
        files[LABELS] = text.encode()
    files[MANIFEST] = json.dumps(values).encode()
    return cases.fixed(files)


def foreign(subject: Subject, rng: random.Random, _) -> Files:
    """Adds what no manifest names."""
    files: Files = dict(subject.files)
    name = rng.choice(("exit_9.tflite", "a\x1bb", "x" * 255, ARCHIVE))
    files[name] = rng.choice(
        (b"x", Link("/dev/zero"), Link(""), Link("."), Sparse(b"", 2**40))
    )
    return files


def tables(subject: Subject, rng: random.Random, _) -> Files:
    """Makes a segment of which all vectors lead to the same few bytes."""
    files = dict(subject.files)
    count = rng.choice((1000, 100_000, 1_000_000))
    slot = rng.choice((1, 2, 4, 6, 7))  # Tables of `Model`.
    layout = struct.pack("<HH8H", 20, 8, *(4 * (i == slot) for i in range(8)))
    # Identifier, the layout, the table, the vector, and an empty table.
    table = 8 + len(layout)
    vector = table + 8
    empty = vector + 4 + 4 * count
    offsets = empty - np.arange(vector + 4, empty, 4)
    files[rng.choice(subject.segments)] = b"".join(
        (
            struct.pack("<I4s", table, b"TFL3"),
            layout,
            struct.pack("<iI", table - 8, 4),
            struct.pack("<I", count),
            offsets.astype("<u4").tobytes(),
            struct.pack("<i", empty - (empty + 4)),
            struct.pack("<HH", 4, 4),
        )
    )
    return cases.fixed(files)


def recorded(subject: Subject, rng: random.Random, _) -> Files:
    """Damages what policies are fitted to."""
    data = subject.files[CALIBRATION]
    mutate = rng.choice((mutations.flipped, mutations.resized))
    files = {**subject.files, CALIBRATION: mutate(data, rng)}
    return cases.fixed(files) if rng.random() < 0.7 else files


def zipped(subject: Subject, rng: random.Random, _) -> Files:
    """Packs it so that it would unpack to far more than it is."""
    stream = io.BytesIO()
    what = rng.randrange(4)
    packed = zipfile.ZIP_DEFLATED if what < 2 else zipfile.ZIP_STORED
    files = dict(subject.files)
    if what == 0:
        files["bomb"] = bytes(2**27)
    with zipfile.ZipFile(stream, "w", packed) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, packed)
    data = bytearray(stream.getvalue())
    if what > 1:  # Sizes that the archive does not have.
        at = data.index(b"PK\1\2")
        for _ in range(rng.choice((1, 3))):
            size = rng.choice((2**26, 2**31, 2**32 - 1))
            data[at + 20 : at + 28] = struct.pack("<II", size, size)
            at = data.find(b"PK\1\2", at + 4)
            if at < 0:
                break
    return {ARCHIVE: bytes(data)}


# Kind -> how it is made, and whether other results may be right.
KINDS = {
    "operators exchanged": (operators, True),
    "labels exchanged": (labels, False),
    "sparse": (sparse, False),
    # `inspect` shows the size that the manifest names.
    "sparse as named": (sparse_as_named, True),
    "repeated": (repeated, True),
    "stored size": (fitted, True),
    "escapes": (escapes, True),
    "foreign": (foreign, True),
    "tables": (tables, False),
    "calibration": (recorded, True),
    "zip bombs": (zipped, False),
}
