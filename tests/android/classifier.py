"""Compares EarlyExitClassifier.kt, on a JVM, with the harness.

    python tests/android/classifier.py CLASSPATH

`make check-android` does it. The runtime is CompiledRuntime.kt against the
stand-in for LiteRT in `standin`, which asks this process to run each segment.
"""

import contextlib
import dataclasses
import io
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
from typing import BinaryIO

import numpy as np

from keras_dynamic.exits.decision.policy import Policy
from tests.support import tiny_bundle, tiny_gated
from tflite import bundle
from tflite.bundle import server_places
from tflite.cutting import split
from tflite.runtime import harness, interpreter

COUNT = 32
FLOAT = bundle.InputFacts((16, 16, 3), "float32", 1 / 255, 0)
# The JVM adds in another order, and has another exp.
TOLERANCE = 1e-12


def made(directory: pathlib.Path) -> dict[str, tuple[str | None, np.ndarray]]:
    """Writes bundles; returns an operating point and the images of each."""
    images = tiny_bundle.images(COUNT)
    cases: dict[str, tuple[str | None, np.ndarray]] = {"tiny": (None, images)}
    written = tiny_bundle.write(directory / "tiny")
    kinds = {
        "max_probability": (0.46, 0.34, 0.0),
        "margin": (0.1, 0.05, 0.0),
        "entropy": (0.2, 0.1, 0.0),
        "patience": (0.5, 0.5, 0.0),
    }
    for kind, thresholds in kinds.items():
        point = dataclasses.replace(
            written.policy, kind=kind, thresholds=thresholds
        )
        bundle.rewrite(
            written,
            str(directory / kind),
            policy=written.policy,
            operating_points={kind: point},
        )
        cases[kind] = (kind, images)
    bundle.rewrite(
        written,
        str(directory / "placed"),
        policy=written.policy,
        operating_points={},
        segments=server_places.placed(written.segments, 1),
    )
    cases["placed"] = (None, images)
    for name, dtype in (
        ("blocks", "int8"),
        ("nested", "int8"),
        ("blocks", "float32"),
    ):
        case = f"{name}_{dtype}"
        gated(directory / case, name, dtype)
        cases[case] = (None, tiny_gated.images(COUNT))
    return cases


def gated(directory: pathlib.Path, name: str, dtype: str) -> None:
    """Writes a bundle of a network with gates."""
    segments = split.split(tiny_gated.converted(name, dtype))
    exits = sum(each.wiring.exit is not None for each in segments)
    bundle.write(
        str(directory),
        name=name,
        segments=[
            bundle.segment_facts(
                place, each.model, each.wiring, madds=1, params=1
            )
            for place, each in enumerate(segments)
        ],
        models=[each.model for each in segments],
        labels=["a", "b", "c", "d", "e"],
        input=FLOAT if dtype == "float32" else bundle.InputFacts((16, 16, 3)),
        policy=Policy(
            temperatures=(0.5,) * exits,
            thresholds=(0.3,) * (exits - 1) + (0.0,),
            enabled=(True,) * exits,
        ),
        provenance={},
    )


def refused(directory: pathlib.Path) -> tuple[str, ...]:
    """Writes bundles that ask for what the class does not know."""
    changes = {
        "format_version": lambda manifest: manifest.update(format_version=3),
        "manifest": lambda manifest: manifest.update(choice={}),
        "segments[1]": lambda manifest: manifest["segments"][1].update(
            choice=0
        ),
        "segments[0].place": lambda manifest: manifest["segments"][0].update(
            place="cloud"
        ),
        "policy": lambda manifest: manifest["policy"].update(bar=1),
        "policy.kind": lambda manifest: manifest["policy"].update(kind="luck"),
        "input.dtype": lambda manifest: manifest["input"].update(dtype="int4"),
        "labels.txt": lambda manifest: manifest["labels"].update(
            sha256="0" * 64
        ),
    }
    for number, change in enumerate(changes.values()):
        path = directory / f"refused_{number}"
        tiny_bundle.write(path)
        manifest = json.loads((path / "manifest.json").read_text())
        change(manifest)
        (path / "manifest.json").write_text(json.dumps(manifest))
    return tuple(changes)


def answer(source: BinaryIO, sink: BinaryIO) -> int:
    """Runs models for the stand-in until it ends; returns how often it did."""
    runners: list = []
    runs = 0
    while operation := source.read(1):
        if operation == b"L":
            [size] = struct.unpack(">H", source.read(2))
            model = pathlib.Path(source.read(size).decode()).read_bytes()
            runners.append(interpreter.load(model).get_signature_runner())
            sink.write(struct.pack(">i", len(runners) - 1))
            for details in sides(runners[-1]):
                sink.write(struct.pack(">i", len(details)))
                for name, each in details.items():
                    real = each["dtype"] == np.float32
                    count = int(np.prod(each["shape"]))
                    head = struct.pack(">H", len(name)) + name.encode()
                    sink.write(head + struct.pack(">?i", real, count))
        else:
            [number] = struct.unpack(">i", source.read(4))
            inputs, outputs = sides(runners[number])
            given = {}
            for name, each in inputs.items():
                [size] = struct.unpack(">i", source.read(4))
                flat = np.frombuffer(source.read(size), each["dtype"])
                given[name] = flat.reshape(each["shape"])
            found = runners[number](**given)
            runs += 1
            for name in outputs:
                sink.write(found[name].tobytes())
        sink.flush()
    return runs


def sides(runner) -> tuple[dict, dict]:
    return runner.get_input_details(), runner.get_output_details()


def differences(
    directory: pathlib.Path, point: str | None, images: np.ndarray, found: bytes
) -> tuple[int, int, str]:
    """Compares answers; returns exits taken, segments run, what differs."""
    with harness.Harness(str(directory)) as chain:
        wanted = [chain.classify(each, point) for each in images]
    classes = len(wanted[0].logits)
    record = np.dtype(
        [("index", ">i4"), ("exit", ">i4"), ("p", ">f8", classes)]
    )
    answers = np.frombuffer(found, record, len(images))
    exits = len({each.exit for each in wanted})
    runs = sum(sum(each.ran) for each in wanted)
    expected = np.stack([each.probabilities for each in wanted])
    [written] = struct.unpack(">q", found[answers.nbytes :])
    gates = any(each.wiring.gate for each in chain.bundle.segments)
    difference = ""
    if list(answers["index"]) != [each.index for each in wanted]:
        difference = "another class"
    elif list(answers["exit"]) != [each.exit for each in wanted]:
        difference = "another exit"
    elif not np.allclose(answers["p"], expected, rtol=0, atol=TOLERANCE):
        difference = "other probabilities"
    elif not gates and written != images.size:
        difference = f"{written} numbers to buffers, not {images.size},"
    return exits, runs, difference


def main() -> None:
    """Fails if an answer differs, or a bundle is not refused."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        with contextlib.redirect_stdout(io.StringIO()):  # The converter's.
            cases, wrong = made(directory), refused(directory)
        arguments = []
        for name, (point, images) in cases.items():
            (directory / f"{name}.images").write_bytes(images.tobytes())
            arguments += [name, point or "-", name, images[0].size]
        for number in range(len(wrong)):
            arguments += [f"refused_{number}", "-", "tiny", 192]
        command = ["java", "-cp", sys.argv[1], "ClassifyImagesKt"]
        for name, point, images, size in zip(
            *(iter(arguments),) * 4, strict=True
        ):
            command += [str(directory / name), point]
            command += [str(directory / f"{images}.images"), str(size)]
            command += [str(directory / f"{name}.results")]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            runs = answer(process.stdout, process.stdin)
        if process.returncode:
            sys.exit("android: error: ClassifyImages.kt failed")
        for name, (point, images) in cases.items():
            results = (directory / f"{name}.results").read_bytes()
            exits, ran, difference = differences(
                directory / name, point, images, results
            )
            runs -= ran
            if difference:
                sys.exit(
                    "android: error: EarlyExitClassifier.kt gives "
                    f"{difference} than the harness for {name}"
                )
            print(
                f"android: {name}: {len(images)} images, {exits} exits taken, "
                f"{ran} segments run"
            )
        if runs:
            sys.exit(f"android: error: {runs} segments too many were run")
        for number, what in enumerate(wrong):
            message = (directory / f"refused_{number}.results").read_text(
                errors="replace"
            )
            if not message.startswith(f"`{what}`"):
                sys.exit(f"android: error: {what} was not refused: {message!r}")
    print(
        "android: EarlyExitClassifier.kt answers as the harness, "
        f"and refuses {len(wrong)} bundles"
    )


if __name__ == "__main__":
    main()
