"""Preparation on a Flink cluster; `make test-flink` starts one."""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from tests.support import score_outputs, sockets, tiny_bundle

pytestmark = pytest.mark.flink

ROOT = pathlib.Path(__file__).parents[3]
PIDS = ROOT / ".flink/pid"
TASK_MANAGER = PIDS / "flink-keras-dynamic-taskexecutor.pid"
PROCESSES = [
    "--sdk_worker_parallelism=2",
    "--experiments=use_loopback_process_worker",
]
# Enough for a machine that is busy with other work.
PATIENCE = 300

CONFIG = """
import ml_collections
from pipeline.config import default

def get_config():
    config = default()
    with config.unlocked():
        config.data.source = "image_folder"
        config.data.source_options = ml_collections.ConfigDict(
            {{"path": {path!r}}}
        )
        config.data.size = 16
        config.data.shard_images = 25
    return config
"""


def flink_up():
    subprocess.run(
        ["bash", str(ROOT / "deploy/flink/up.sh")],
        check=True,
        timeout=PATIENCE,
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture(scope="session")
def cluster():
    """Beam's options for the cluster that runs."""
    options = ROOT / ".flink/beam-options"
    try:
        address = "http://localhost:8081/overview"
        with urllib.request.urlopen(address, timeout=10) as answer:
            slots = json.load(answer)["slots-total"]
        assert slots == 2, f"Flink has {slots} task slots instead of 2"
        return options.read_text().split()
    except OSError as error:
        pytest.fail(f"these tests need `make flink-up` first: {error}")


def images(directory, count, side):
    """Writes images of two classes, as JPEG and PNG; returns a config file."""
    rng = np.random.default_rng(0)
    for i in range(count):
        path = directory / "images" / f"class{i % 2}" / f"{i:04d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
        image = Image.fromarray(coarse).resize((side, side))
        image.save(path.with_suffix(".png" if i % 5 == 0 else ".jpg"))
    config = directory / "config.py"
    config.write_text(CONFIG.format(path=str(directory / "images")))
    return config


def command(config, workdir, beam_args, *overrides):
    main = "from pipeline.cli import main; main.main()"
    flags = [f"--config={config}", f"--workdir={workdir}", *overrides]
    flags += ["--", *beam_args] if beam_args else []
    return [sys.executable, "-c", main, "prepare", *flags]


def environment():
    # Beam starts worker processes as `python`.
    binaries = os.path.dirname(sys.executable)
    path = os.pathsep.join([binaries, os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def prepare(config, workdir, beam_args=(), *overrides):
    ended = subprocess.run(
        command(config, workdir, beam_args, *overrides),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stderr
    return whole(workdir / "data")


def whole(data):
    """Returns the manifest of a data set, all of whose shards are there."""
    manifest = json.loads((data / "manifest.json").read_text())
    for shard in manifest["shards"]:
        content = (data / shard["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == shard["sha256"]
    named = {shard["file"] for shard in manifest["shards"]}
    assert named == {path.name for path in data.glob("*.tfrecord")}
    return manifest


@pytest.mark.parametrize("workers", [[], PROCESSES], ids=["threads", "two"])
def test_flink_gives_the_bytes_of_the_local_runner(cluster, tmp_path, workers):
    config = images(tmp_path, count=300, side=20)
    local = prepare(config, tmp_path / "local")
    remote = prepare(config, tmp_path / "remote", [*cluster, *workers])
    assert remote == local
    assert len(remote["shards"]) > 8
    assert remote["listed"] == 300


def test_flink_scores_as_the_local_runner_does(cluster, tmp_path):
    tiny_bundle.write(tmp_path / "bundle")
    for shard in range(4):
        records = map(score_outputs.raw, range(shard, score_outputs.COUNT, 4))
        score_outputs.write_records(tmp_path / f"{shard}.tfrecord", records)
    found = {}
    for name, beam_args in (("local", []), ("flink", cluster)):
        output = tmp_path / name / "scores"
        score_outputs.run(
            tmp_path / "bundle",
            [tmp_path / "*.tfrecord"],
            output,
            "--format=csv",
            beam_args=beam_args,
        )
        rows = score_outputs.read(output, "csv")
        for row in rows.values():
            row["probabilities"] = row["probabilities"].tolist()
        found[name] = rows, score_outputs.summary(output)["exits"]
    assert found["flink"] == found["local"]
    assert len(found["flink"][0]) == score_outputs.COUNT


def last_pid(path):
    """The pid files of Flink keep those of processes that have ended."""
    return int(path.read_text().split()[-1])


@pytest.mark.parametrize("workers", [[], PROCESSES], ids=["threads", "two"])
def test_nothing_listens_beyond_this_machine(cluster, tmp_path, workers):
    config = images(tmp_path, count=200, side=700)
    servers = [last_pid(path) for path in PIDS.glob("*.pid")]
    idle = sockets.listening(*servers)
    running = subprocess.Popen(
        command(config, tmp_path / "run", [*cluster, *workers]),
        env=environment(),
        stderr=subprocess.DEVNULL,
    )
    busy = sockets.while_it_runs(running, *servers)
    assert running.returncode == 0
    assert not sockets.reachable(idle | busy)
    # The web page, where a job is submitted to, and where its files go.
    assert {8081, 6123, 8099, 8098} <= {port for _, _, port in idle}
    # While a job runs its task manager has more servers, and this side one.
    task_manager = last_pid(TASK_MANAGER)
    more = {pid for pid, _, _ in busy - idle}
    assert {task_manager, running.pid} <= more


def test_the_page_takes_no_jar(cluster):
    request = urllib.request.Request(
        "http://localhost:8081/jars/upload", data=b"", method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 404


def kill_task_manager():
    pid = last_pid(TASK_MANAGER)
    os.kill(pid, signal.SIGKILL)
    arguments = pathlib.Path(f"/proc/{pid}/cmdline")
    while arguments.exists() and arguments.read_bytes():
        time.sleep(0.05)


def killed_while_it_writes(running, workdir):
    """Kills the task manager when the first shards are being written."""
    until = time.monotonic() + PATIENCE
    while not any(workdir.glob(".data.*/new/data/work-*/*")):
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.05)
    kill_task_manager()


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "lost"])
def test_a_killed_task_manager_leaves_whole_data(cluster, tmp_path, replaced):
    config = images(tmp_path, count=200, side=700)
    workdir = tmp_path / "run"
    old = prepare(config, workdir, (), "--config.data.seed=1")
    running = subprocess.Popen(
        command(config, workdir, cluster),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        killed_while_it_writes(running, workdir)
        if replaced:
            flink_up()
        _, messages = running.communicate(timeout=PATIENCE)
    finally:
        running.kill()
        flink_up()

    local = prepare(config, tmp_path / "local")
    if running.returncode == 0:
        assert whole(workdir / "data") == local
    else:
        assert not replaced, messages
        assert running.returncode == 1
        last = messages.strip().splitlines()[-1]
        assert last.startswith("keras-dynamic: error: ")
        assert whole(workdir / "data") == old
    assert not list(workdir.glob(".data.*"))
    assert prepare(config, workdir, cluster) == local
