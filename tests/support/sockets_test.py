"""Tests that listening sockets are found, and which ones can be reached."""

import os
import socket
import subprocess
import sys

import pytest

from tests.support import sockets


@pytest.mark.parametrize(
    ("family", "address", "shown", "safe"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1", True),
        (socket.AF_INET, "0.0.0.0", "0.0.0.0", False),
        (socket.AF_INET6, "::1", "::1", True),
        (socket.AF_INET6, "::", "::", False),
        (socket.AF_INET6, "::ffff:127.0.0.1", "127.0.0.1", True),
    ],
)
def test_an_address_is_read_from_the_kernel(family, address, shown, safe):
    with socket.socket(family) as listener:
        try:
            listener.bind((address, 0))
        except OSError:
            pytest.skip("this machine has no such address")
        listener.listen()
        row = os.getpid(), shown, listener.getsockname()[1]
        found = sockets.listening(os.getpid())
    assert row in found
    assert (row not in sockets.reachable(found)) == safe


def test_the_sockets_of_children_are_found():
    script = (
        "import socket; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1], flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        port = int(child.stdout.readline())
        found = sockets.listening(os.getpid())
        child.stdin.close()
    assert (child.pid, "127.0.0.1", port) in found
