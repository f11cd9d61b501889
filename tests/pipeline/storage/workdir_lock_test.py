"""Tests of pipeline.storage.workdir_lock."""

import os
import signal
import subprocess
import sys

import pytest

from pipeline import stages
from pipeline.results.layout import Layout
from pipeline.storage import workdir_lock
from tests.support import tiny_config

HOLD = """
import pathlib, sys
from pipeline.storage import workdir_lock
sys.argv = ["/bin/keras-dynamic", "run", "--config=a b"]
with workdir_lock.held(pathlib.Path({root!r})):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, which holds a working directory."""
    root = tmp_path / "work"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(root=str(root))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield root, process
    process.kill()
    process.communicate()


def test_another_one_is_named(holder):
    root, process = holder
    with (
        pytest.raises(ValueError, match="`workdir`") as error,
        workdir_lock.held(root),
    ):
        pass
    said = str(error.value)
    assert f"process {process.pid} on {os.uname().nodename} since 2" in said
    assert said.endswith(": keras-dynamic run '--config=a b'")


def test_stages_that_write_are_kept_out_before_they_begin(holder):
    root, _ = holder
    config = tiny_config.get_config()
    for names in (tuple(stages.STAGES), ("prepare",)):
        with pytest.raises(ValueError, match="held by process"):
            stages.run(config, Layout(root), names, skip_finished=True)
    assert os.listdir(root) == [workdir_lock.FILE]
    # One that reads gets as far as to miss what it needs.
    with pytest.raises(ValueError, match="`check` needs what"):
        stages.run(config, Layout(root), ("check",), skip_finished=False)


def test_who_is_killed_holds_nothing(holder):
    root, process = holder
    process.send_signal(signal.SIGKILL)
    process.wait()
    with workdir_lock.held(root):
        pass
    with workdir_lock.held(root):
        pass


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_is_no_working_directory(tmp_path, below):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ValueError, match="`workdir`"),
        workdir_lock.held(tmp_path / "file" / below),
    ):
        pass
    config = tiny_config.get_config()
    for names in (("check",), tuple(stages.STAGES)):
        with pytest.raises(ValueError, match="`workdir`"):
            stages.run(
                config, Layout(tmp_path / "file"), names, skip_finished=False
            )
