"""What Beam starts on this machine cannot be reached from another one."""

import subprocess
import sys

import grpc
import pytest

from pipeline.beam import loopback
from tests.support import sockets


@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_the_local_runner_listens_on_this_machine_only(mode, tmp_path):
    running = subprocess.Popen(
        [
            *(
                sys.executable,
                "-c",
                "from pipeline.cli import main; main.main()",
            ),
            *("prepare", "--config=ranet_digits", f"--workdir={tmp_path}"),
            *("--", "--direct_num_workers=2", f"--direct_running_mode={mode}"),
        ],
        stderr=subprocess.DEVNULL,
    )
    found = sockets.while_it_runs(running)
    assert running.returncode == 0
    assert running.pid in {pid for pid, _, _ in found}
    assert not sockets.reachable(found)


def test_servers_are_as_they_were_after_the_block():
    before = grpc.server
    with pytest.raises(ValueError, match="x"), loopback.only():
        assert grpc.server is not before
        raise ValueError("x")
    assert grpc.server is before
