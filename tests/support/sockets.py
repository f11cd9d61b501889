"""Finds where processes listen, for tests."""

import ipaddress
import pathlib
import subprocess
import sys

_SCRIPT = pathlib.Path(__file__).parents[2] / "deploy/flink/listening.py"


def listening(*pids: int) -> set[tuple[int, str, int]]:
    """Returns (process id, address, port) of processes and their children."""
    done = subprocess.run(
        [sys.executable, "-S", str(_SCRIPT), *map(str, pids)],
        capture_output=True,
        text=True,
    )
    assert not done.stderr, done.stderr
    rows = map(str.split, done.stdout.splitlines())
    return {(int(pid), address, int(port)) for pid, address, port in rows}


def while_it_runs(process: subprocess.Popen, *others: int) -> set:
    """Lists the sockets that listen in a process, and others, until it ends."""
    found = set()
    while process.poll() is None:
        found |= listening(process.pid, *others)
    return found


def reachable(found) -> set:
    """Returns those of `listening` that another machine can reach."""
    return {
        row for row in found if not ipaddress.ip_address(row[1]).is_loopback
    }
