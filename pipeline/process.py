"""Runs a command that cannot outlive whoever started it.

Between the two is a guard, this file run as a script. It leads a process
group of its own, in which the command runs, and kills the group, itself
included, when the process that started it is gone: also after a SIGKILL,
which lets nobody clean up. It imports nothing but the standard library.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

# How often the guard looks whether its parent is still there, in seconds.
_LOOK_EVERY = 0.5


def run(
    command: Sequence[str],
    log: pathlib.Path,
    *,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
) -> int:
    """Runs a command to its end; nothing of its process group remains.

    Args:
        command: The program and its arguments.
        log: File to which all that it prints is appended.
        timeout: Seconds it may take.
        environment: Variables that it gets where they are not set.
        keep_open: File descriptors that are closed when the command and this
            process are both gone, such as that of a lock.

    Returns:
        Its exit code; 128 and the number of the signal that killed it.

    Raises:
        TimeoutError: It took longer, and was killed.
    """
    # No preexec_fn with PR_SET_PDEATHSIG: it is not safe beside threads, and
    # what the command starts would live on.
    guard = [sys.executable, "-I", "-S", __file__, str(os.getpid())]
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [*guard, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep_open,
            env={**(environment or {}), **os.environ},
        )
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(
            f"`timeout` must leave the command enough time. "
            f"Received: {timeout:.0f} s"
        ) from error
    finally:
        # A group keeps its number as long as one of its processes lives.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return code if code >= 0 else 128 - code


def _guard(parent: int, command: Sequence[str]) -> int:
    """Waits for the command, or kills it when the parent is another."""
    child = subprocess.Popen(command)
    while True:
        try:
            code = child.wait(_LOOK_EVERY)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                os.killpg(0, signal.SIGKILL)
            continue
        return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(_guard(int(sys.argv[1]), sys.argv[2:]))
