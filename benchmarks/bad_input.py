"""Prepares 10,000 images with 1,000 mutated: each is set aside or decoded.

    python benchmarks/bad_input.py OUTPUT.json

Truncated files, flipped bits, other types, huge dimensions in the header,
empty files, PNG files that unpack to gigabytes. Counts must add up, and the
memory of the preparation with them is compared with that without.
"""

import collections
import io
import json
import pathlib
import re
import struct
import sys
import tempfile
import zlib

import machine
import numpy as np
from PIL import Image

from pipeline.storage import publishing

_GOOD, _BAD = 9_000, 1_000


def main(output: str) -> None:
    """Prepares with and without bad images, writes the result to `output`."""
    script = str(pathlib.Path(__file__).with_name("prepared.py"))
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        _write_good(root / "images")
        runs = {}
        for name in ("clean", "mutated"):
            if name == "mutated":
                kinds = _write_bad(root / "images")
            data = root / "data.json"
            source = {"path": str(root / "images")}
            data.write_text(
                json.dumps({"source_options": source, "max_rejected": 0.2})
            )
            command = [sys.executable, script, str(data), f"{root}/{name}"]
            runs[name] = machine.child(command)
            print(name, runs[name], flush=True)
        lines = (root / "mutated" / "rejected.jsonl").read_text().splitlines()
    rejected = [json.loads(line) for line in lines]
    aside = collections.Counter(row["key"].split("-")[1] for row in rejected)
    reasons = collections.Counter(
        " ".join(re.sub(r"\d+", "N", row["reason"]).split()[:4])
        for row in rejected
    )
    found = runs["mutated"]
    publishing.write_json(
        output,
        {
            "command": machine.command_line(),
            "files": _GOOD + _BAD,
            "stored": found["images"],
            "rejected": found["rejected"],
            "adds_up": found["images"] + found["rejected"] + found["dropped"]
            == _GOOD + _BAD
            == found["listed"],
            "mutated": {
                kind: {"files": n, "rejected": aside[kind]}
                for kind, n in sorted(kinds.items())
            },
            "reasons": dict(reasons.most_common()),
            "peak_mib": {
                name: run["process"]["peak_mib"] for name, run in runs.items()
            },
            "cpu_s": {
                name: run["process"]["cpu_s"] for name, run in runs.items()
            },
            "machine": machine.machine(),
            "versions": machine.versions(),
        },
    )


def _write_good(root: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
    for i in range(_GOOD):
        picture = Image.fromarray(_smooth(rng))
        name = root / ("cat", "dog")[i % 2] / f"good-{i:05d}"
        picture.save(f"{name}.{('jpg', 'png')[i // 2 % 2]}")


def _smooth(rng: np.random.Generator) -> np.ndarray:
    small = rng.integers(0, 256, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((48, 48)))


def _write_bad(root: pathlib.Path) -> collections.Counter:
    rng = np.random.default_rng(1)
    good = sorted(root.rglob("good-*"))
    kinds = collections.Counter()
    makers = list(_MUTATIONS.items())
    for i in range(_BAD):
        kind, make = makers[i % len(makers)]
        source = good[int(rng.integers(len(good)))]
        data = make(source.read_bytes(), rng)
        target = source.with_name(f"bad-{kind}-{i:05d}{source.suffix}")
        target.write_bytes(data)
        kinds[kind] += 1
    return kinds


def _truncated(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(1, len(data)))]


def _flipped(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for at in rng.integers(0, len(data), rng.integers(1, 9)):
        changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _other_type(data: bytes, rng: np.random.Generator) -> bytes:
    starts = (b"GIF89a", b"BM", b"%PDF-1.7", b"PK\3\4", b"<svg>", b"RIFF")
    return starts[int(rng.integers(len(starts)))] + data[6:]


def _huge(data: bytes, rng: np.random.Generator) -> bytes:
    """Claims dimensions of tens of thousands of pixels."""
    side = int(rng.integers(9_000, 65_000))
    if data.startswith(b"\x89PNG"):
        header = b"IHDR" + struct.pack(">II", side, side) + data[24:29]
        crc = struct.pack(">I", zlib.crc32(header))
        return data[:12] + header + crc + data[33:]
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", side, side) + data[at + 9 :]


def _empty(data: bytes, rng: np.random.Generator) -> bytes:
    return b""


def _bomb(data: bytes, rng: np.random.Generator) -> bytes:
    """Makes a PNG of some kilobytes that unpacks to hundreds of megabytes."""
    side = 20_000
    rows = zlib.compressobj(9)
    row = b"\0" * (side // 8 + 1)
    packed = b"".join(rows.compress(row) for _ in range(side)) + rows.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", packed)
        + chunk(b"IEND", b"")
    )


def _text_bomb(data: bytes, rng: np.random.Generator) -> bytes:
    """Makes a PNG with a compressed comment of 256 MB before its pixels."""
    small = Image.new("L", (48, 48))
    body = b"Comment\0\0" + _text_bomb.packed
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + body))
    file = io.BytesIO()
    small.save(file, "PNG")
    png = file.getvalue()
    return png[:33] + chunk + png[33:]


_text_bomb.packed = zlib.compress(bytes(1 << 28), 9)

_MUTATIONS = {
    "truncated": _truncated,
    "flipped": _flipped,
    "other_type": _other_type,
    "huge": _huge,
    "empty": _empty,
    "bomb": _bomb,
    "text_bomb": _text_bomb,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
