"""A Ctrl-C or a SIGTERM ends each verb in order, with one line."""

import io
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from pipeline.cli import verbs

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
LINES = {
    signal.SIGINT: "keras-dynamic: interrupted",
    signal.SIGTERM: "keras-dynamic: terminated",
}
CLI = "from pipeline.cli import main; main.main()"
PATIENCE = 60
MODES = {
    "here": [],
    "threads": [
        "--direct_num_workers=2",
        "--direct_running_mode=multi_threading",
    ],
    "processes": [
        "--direct_num_workers=2",
        "--direct_running_mode=multi_processing",
    ],
}
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
        config.data.size = 8
        config.data.shard_images = 20
    return config
"""


def write_images(directory: pathlib.Path) -> None:
    """Writes images that differ in what follows them, enough for seconds."""
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).save(content, "JPEG")
    for i in range(600):
        path = directory / f"class{i % 2}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.getvalue() + str(i).encode())


def start(*command) -> subprocess.Popen:
    """Starts Python as a shell does, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        start_new_session=True,
        # Whatever runs these tests may have had it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def appears(process, directory: pathlib.Path, pattern: str) -> None:
    """Waits for a file that the process is to write."""
    until = time.monotonic() + PATIENCE
    while not any(directory.glob(pattern)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)


def group(process: subprocess.Popen) -> list[int]:
    """The processes of its session that live."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            after = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if after[0] != "Z" and int(after[3]) == process.pid:
            found.append(int(stat.parent.name))
    return found


def ends_in_order(process: subprocess.Popen, number: int) -> str:
    """Waits for the end; returns the lines before the last one."""
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == CODES[number], errors
    *before, last = errors.splitlines()
    assert last == LINES[number]
    assert "Traceback" not in errors
    return "\n".join(before)


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("mode", MODES)
def test_a_preparation_leaves_nothing(mode, number, tmp_path):
    write_images(tmp_path / "images")
    config = tmp_path / "config.py"
    config.write_text(CONFIG.format(path=str(tmp_path / "images")))
    workdir = tmp_path / "run"
    process = start(
        *("-c", CLI, "prepare", f"--config={config}", f"--workdir={workdir}"),
        *("--", *MODES[mode]),
    )
    appears(process, workdir, ".data.*/new/data/work-*/*")
    # A terminal sends it to the whole group.
    os.killpg(process.pid, number)
    ends_in_order(process, number)
    assert {path.name for path in workdir.iterdir()} == {".lock", "config.json"}
    until = time.monotonic() + PATIENCE
    while group(process):
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(
    "verb",
    [
        name
        for name, each in verbs.VERBS.items()
        if any(flag.kind == "config" for flag in each.flags.values())
    ],
)
def test_every_verb_that_loads_a_configuration(verb, tmp_path):
    config = tmp_path / "config.py"
    config.write_text(
        "import os, signal, time\nos.killpg(0, signal.SIGINT)\ntime.sleep(60)\n"
    )
    process = start(
        "-c", CLI, verb, f"--config={config}", f"--workdir={tmp_path / 'run'}"
    )
    assert not ends_in_order(process, signal.SIGINT)
    assert not (tmp_path / "run").exists()


FAMILY = """
import pathlib, sys, time
from pipeline.processes import group, interruption
work = pathlib.Path(sys.argv[1])
command = '''
import os, pathlib, sys, time
from pipeline.processes import interruption
work = pathlib.Path(sys.argv[1])
number = os.environ["KERAS_DISTRIBUTION_PROCESS_ID"]
with interruption.in_order():
    try:
        (work / f"begun-{number}").touch()
        time.sleep(60)
    finally:
        (work / f"asked-{number}").touch()
'''
with interruption.in_order():
    group.run([sys.executable, "-c", command, str(work)], 2)
"""


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_processes_that_train_together_are_asked_to_end(number, tmp_path):
    process = start("-c", FAMILY, tmp_path)
    for each in (0, 1):
        appears(process, tmp_path, f"begun-{each}")
    os.killpg(process.pid, number)
    assert not ends_in_order(process, number)
    assert len(list(tmp_path.glob("asked-*"))) == 2


LONG = """
import pathlib, sys, time
from pipeline.processes import interruption
work = pathlib.Path(sys.argv[1])
with interruption.in_order():
    try:
        (work / "begun").touch()
        time.sleep(60)
    finally:
        (work / "on the way").touch()
        time.sleep(60)
"""


def test_the_second_one_ends_it_at_once(tmp_path):
    process = start("-c", LONG, tmp_path)
    appears(process, tmp_path, "begun")
    os.kill(process.pid, signal.SIGINT)
    appears(process, tmp_path, "on the way")
    os.kill(process.pid, signal.SIGINT)
    assert not ends_in_order(process, signal.SIGINT)


def test_an_ignored_signal_stays_ignored(tmp_path):
    script = f"""
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
{LONG}"""
    process = start("-c", script, tmp_path)
    appears(process, tmp_path, "begun")
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGTERM)
    appears(process, tmp_path, "on the way")
    os.kill(process.pid, signal.SIGTERM)
    assert not ends_in_order(process, signal.SIGTERM)
