"""No verb hands an unsound model to the runtime, whatever its hash says.

A CONV_2D that says that it is a SPLIT ends the process in the runtime, so each
verb runs in a process of its own.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.support import tiny_bundle
from tflite.bundle import recorded_logits
from tflite.format import model_file

CONV_2D, SPLIT = 3, 49

# What is behind `check`, `benchmark` and the gate.
CHILD = """
import pathlib, sys
import numpy as np
from tflite.diagnosis import activations, delegation
from tflite.timing import cold_start, contestants
from tflite.runtime import harness, whole_model
verb, path = sys.argv[1:]
data = pathlib.Path(path).read_bytes() if pathlib.Path(path).is_file() else b""
image = np.zeros((8, 8, 3), np.uint8)
try:
    {
        "delegation": lambda: delegation.delegation(data),
        "unsplit": lambda: whole_model.Unsplit(data),
        "activations": lambda: activations.Activations(data, []),
        "model": lambda: contestants.Contestant("tflite", path).load(),
        "chain": lambda: contestants.Contestant("chain", path).load()(image),
        "start": lambda: cold_start.measure(
            contestants.Contestant("tflite", path), image[None], 1
        ),
    }[verb]()
except ValueError as error:
    sys.exit(f"refused: {error}")
"""


def exchanged(model: bytes) -> bytes:
    whole = model_file.read(model)
    for code in whole.operatorCodes:
        if max(code.builtinCode, code.deprecatedBuiltinCode) == CONV_2D:
            code.builtinCode = code.deprecatedBuiltinCode = SPLIT
    return model_file.write(whole)


@pytest.fixture(scope="module", name="directory")
def _directory(tmp_path_factory):
    """A bundle with an exchanged operator, its hash made right again."""
    directory = tmp_path_factory.mktemp("bundle")
    opened = tiny_bundle.write(directory)
    model = exchanged(opened.model(0))
    said = recorded_logits.Recorded(
        np.zeros(8, np.int32), np.zeros((3, 8, 4), np.int8)
    )
    recorded = recorded_logits.encode(said)
    (directory / "exit_0.tflite").write_bytes(model)
    (directory / "calibration.npy").write_bytes(recorded)
    path = directory / "manifest.json"
    values = json.loads(path.read_text())

    def facts(file, data):
        digest = hashlib.sha256(data).hexdigest()
        return {"file": file, "sha256": digest, "bytes": len(data)}

    values["segments"][0] |= facts("exit_0.tflite", model)
    values["calibration"] = facts("calibration.npy", recorded)
    path.write_text(json.dumps(values))
    photo = tiny_bundle.images(1)[0]
    Image.fromarray(photo).save(directory.parent / "photo.png")
    return directory


def run(*command) -> subprocess.CompletedProcess:
    root = str(pathlib.Path(__file__).parents[3])
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
    )


def verb(*arguments) -> subprocess.CompletedProcess:
    return run("-c", "from pipeline.cli import main; main.main()", *arguments)


def assert_refused(done) -> None:
    assert done.returncode == 1, done.stderr
    assert "SPLIT" in done.stderr.splitlines()[-1]


def test_inspect(directory):
    assert_refused(verb("inspect", directory))


def test_classify(directory):
    photo = directory.parent / "photo.png"
    assert_refused(verb("classify", f"--bundle={directory}", photo))


@pytest.mark.parametrize("target", ["--max_drop=1", "--budget_ms=9"])
def test_policy(directory, target):
    assert_refused(verb("policy", directory, target))


@pytest.mark.slow
def test_score(directory, tmp_path):
    photo = directory.parent / "photo.png"
    done = verb(
        "score",
        f"--bundle={directory}",
        f"--input={photo}",
        f"--output={tmp_path}/scores",
    )
    assert done.returncode == 1
    assert "SPLIT" in done.stderr


@pytest.mark.parametrize(
    "what", ["delegation", "unsplit", "activations", "model", "start"]
)
def test_a_model_alone(directory, what):
    assert_refused(run("-c", CHILD, what, directory / "exit_0.tflite"))


def test_a_chain_that_is_timed(directory):
    assert_refused(run("-c", CHILD, "chain", directory))


def test_split_reads_and_does_not_run(directory, tmp_path):
    done = verb(
        "split", directory / "exit_0.tflite", f"--output={tmp_path}/parts"
    )
    assert done.returncode in (0, 1)
