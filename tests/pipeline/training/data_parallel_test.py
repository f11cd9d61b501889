"""One training by two processes, and by another backend, for real."""

import importlib.util
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn import datasets

from tests.support import prepared_data

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("jax") is None, reason="needs JAX"
    ),
]

_CONFIG = pathlib.Path(__file__).parents[2] / "support" / "tiny_config.py"
_NUMBER = "KERAS_DISTRIBUTION_PROCESS_ID"
# Small steps: rounding errors grow with the learning rate.
_SETTINGS = (
    "--config.train.batch_size=32",
    "--config.train.epochs=8",
    "--config.train.learning_rate=0.002",
)


def _prepare(workdir):
    """Writes 200 digits; 45 of validation are no whole batches of two."""
    digits = datasets.load_digits()
    images = (digits.images[:200, ..., None] * 255 / 16).astype(np.uint8)
    parts = zip(
        ("train", "validation", "calibration", "test"),
        np.split(images, [135, 180, 190]),
        np.split(digits.target[:200], [135, 180, 190]),
        strict=True,
    )
    (workdir / "data").mkdir(parents=True)
    members = {split: (pixels, labels) for split, pixels, labels in parts}
    prepared_data.write(workdir / "data", members, shard_images=50)
    return workdir


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts `keras-dynamic train` on a backend."""
    # What XLA compiled for one training serves the next.
    cache = tmp_path_factory.mktemp("compiled")

    def start(workdir, *arguments, backend="jax", environment=None):
        return subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-c",
                    "from pipeline.cli import main; main.main()",
                ),
                *("train", f"--config={_CONFIG}", f"--workdir={workdir}"),
                *(*_SETTINGS, *arguments),
            ],
            env=os.environ
            | {
                "KERAS_BACKEND": backend,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "XLA_FLAGS": "--xla_backend_optimization_level=0",
                "JAX_COMPILATION_CACHE_DIR": str(cache),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
            }
            | (environment or {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="module")
def one(start, tmp_path_factory):
    """A training in one process."""
    workdir = _prepare(tmp_path_factory.mktemp("one"))
    _succeed(start(workdir))
    return workdir


@pytest.fixture(scope="module")
def two(start, tmp_path_factory):
    """The same in two."""
    workdir = _prepare(tmp_path_factory.mktemp("two"))
    _succeed(start(workdir, "--processes=2"))
    return workdir


def _succeed(process):
    _, errors = process.communicate()
    assert process.returncode == 0, errors[-2000:]
    return errors


def _state(workdir):
    with np.load(workdir / "training" / "state.npz") as arrays:
        found = {name: arrays[name] for name in arrays.files}
    return json.loads(str(found.pop("progress"))), found


def _scalars(workdir):
    """The value of every epoch, by run and tag."""
    from tensorboard.backend.event_processing import event_accumulator

    found = {}
    for run in (workdir / "logs").iterdir():
        events = event_accumulator.EventAccumulator(str(run)).Reload()
        for tag in events.Tags()["tensors"]:
            found[run.name, tag] = [
                event.tensor_proto.float_val[0] for event in events.Tensors(tag)
            ]
    return found


def _assert_close(first, second, tolerance):
    (_, ours), (_, theirs) = _state(first), _state(second)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_allclose(
            ours[name], value, rtol=tolerance, atol=tolerance, err_msg=name
        )


def _children(pid):
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def test_two_processes_train_as_one(one, two):
    ours, theirs = _scalars(one), _scalars(two)
    assert ours.keys() == theirs.keys()
    for tag, values in ours.items():
        assert len(values) == 8
        np.testing.assert_allclose(theirs[tag], values, rtol=1e-5, err_msg=tag)
    assert ours["train", "loss"][-1] < ours["train", "loss"][0]
    _assert_close(one, two, 1e-5)
    alone, together = _state(one)[0], _state(two)[0]
    # Sums of two parts of a batch are rounded otherwise.
    for mine, other in zip(
        *(each.pop("history") for each in (alone, together)), strict=True
    ):
        assert mine == pytest.approx(other, rel=1e-5)
    assert alone == together
    assert (two / "model" / "float.keras").exists()


def test_a_killed_process_ends_the_command_and_it_goes_on(start, two, tmp_path):
    workdir = _prepare(tmp_path / "killed")
    process = start(workdir, "--processes=2")
    state = workdir / "training" / "state.npz"
    while not state.exists():
        assert process.poll() is None, process.stderr.read()[-2000:]
        time.sleep(0.01)
    guards = _children(process.pid)
    workers = [child for guard in guards for child in _children(guard)]
    assert len(workers) == 2
    (killed,) = (
        worker
        for worker in workers
        if f"{_NUMBER}=1".encode()
        in pathlib.Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
    )
    os.kill(killed, signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.strip().splitlines()[-1] == (
        "keras-dynamic: error: process 1 of 2 was killed by SIGKILL; the "
        "others were stopped. The same command goes on from the last checkpoint"
    )
    for pid in (*guards, *workers):
        assert not pathlib.Path(f"/proc/{pid}").exists()
    assert not (workdir / "model").exists()
    assert 0 < _state(workdir)[0]["epoch"] < 8

    errors = _succeed(start(workdir, "--processes=2"))
    assert "going on from the checkpoint" in errors
    _assert_close(workdir, two, 1e-6)
    left = {path.name for path in (workdir / "training").iterdir()}
    assert left == {"state.npz", "best.npz"}


def test_machines_without_a_common_directory_are_refused(start, one, tmp_path):
    """The second one does not see the checkpoint of the first one."""
    workdirs = [tmp_path / "first", tmp_path / "second"]
    shutil.copytree(one, workdirs[0])
    _prepare(workdirs[1])
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    environment = {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    }
    started = [
        start(workdir, environment=environment | {_NUMBER: str(number)})
        for number, workdir in enumerate(workdirs)
    ]
    for process in started:
        _, errors = process.communicate()
        assert process.returncode == 1
        assert "`workdir` must be the same for all processes" in errors
    # The second machine writes nothing but what it needs to train.
    assert [path.name for path in workdirs[1].iterdir()] == ["data"]


def test_the_backend_can_be_changed_at_a_checkpoint(start, one, tmp_path):
    """From the same state TensorFlow takes the same steps as JAX."""
    begun, other = (_prepare(tmp_path / name) for name in ("begun", "other"))
    process = start(begun)
    state = begun / "training" / "state.npz"
    while not state.exists():
        assert process.poll() is None, process.stderr.read()[-2000:]
        time.sleep(0.01)
    (other / "training").mkdir()
    shutil.copy(state, other / "training")
    _succeed(process)
    done = _state(other)[0]["epoch"]
    assert 0 < done < 8

    _succeed(start(other, backend="tensorflow"))
    _assert_close(other, one, 1e-4)
    ours, theirs = _scalars(other), _scalars(one)
    for tag, values in ours.items():
        np.testing.assert_allclose(
            values, theirs[tag][done:], rtol=1e-4, err_msg=tag
        )
