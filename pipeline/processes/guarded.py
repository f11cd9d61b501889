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
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

# How often the guard looks whether its parent is still there, in seconds.
_LOOK_EVERY = 0.5
# Seconds between asking a command to end and killing it.
_GRACE = 5.0
# Whether this process ends, and must start nothing any more.
_ending = False


def run(
    command: Sequence[str],
    log: pathlib.Path,
    *,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
) -> int:
    """Runs a command to its end, and leaves nothing of its process group.

    Args:
        command: The program and its arguments.
        log: File to which all that it prints is appended.
        timeout: Seconds it may take.
        environment: Variables that it gets where they are not set.
        keep_open: File descriptors that are closed when the command and this
            process are both gone, such as that of a lock.

    Returns:
        Its exit code, or 128 plus the number of the signal that killed it.

    Raises:
        TimeoutError: It took longer, and was killed.
    """
    with (
        open(log, "ab") as output,
        started(
            command,
            output=output,
            environment={**(environment or {}), **os.environ},
            keep_open=keep_open,
        ) as guard,
    ):
        try:
            return code(guard, timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(
                f"`timeout` must leave the command enough time. "
                f"Received: {timeout:.0f} s"
            ) from error


@contextlib.contextmanager
def started(
    command: Sequence[str],
    *,
    output: IO[bytes] | None,
    environment: Mapping[str, str],
    keep_open: Sequence[int] = (),
) -> Iterator[subprocess.Popen]:
    """Starts a command, and ends all of its group after the block.

    Args:
        command: The program and its arguments.
        output: File to which it prints; None: where this process prints.
        environment: All variables that it gets.
        keep_open: File descriptors that are closed when the command and this
            process are both gone, such as that of a lock.

    Yields:
        Its guard, which leads the group and ends with the command; `code`
        returns its exit code.

    Raises:
        ChildProcessError: This process has been told to end.
    """
    if _ending:
        raise ChildProcessError("this process was told to end")
    # No preexec_fn with PR_SET_PDEATHSIG: it is not safe beside threads, and
    # what the command starts would live on.
    guard = [sys.executable, "-I", "-S", __file__, str(os.getpid())]
    process = subprocess.Popen(
        [*guard, *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
        pass_fds=keep_open,
        env=environment,
    )
    try:
        yield process
    finally:
        stop(process)


def stop(*guards: subprocess.Popen) -> None:
    """Asks started commands to end, and kills what is left in a few seconds.

    Args:
        guards: Guards that `started` yields; those that have ended may be among
            them.
    """
    running = [guard for guard in guards if guard.poll() is None]
    # Those that `end_children` has asked would take a second time for haste.
    for guard in () if _ending else running:
        _tell(guard.pid, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    for guard in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            guard.wait(max(0.0, deadline - time.monotonic()))
    for guard in guards:
        # A group keeps its number as long as one of its processes lives.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(guard.pid, signal.SIGKILL)
        guard.wait()
        _await_end(guard.pid)


def _await_end(group: int) -> None:
    """Waits until no process of a killed group is left, a second at most.

    A large group takes a moment to go. Where nobody collects ended processes,
    as in some containers, a group stays for ever.
    """
    deadline = time.monotonic() + 1.0
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.01)


def end_children(number: int) -> None:
    """Sends a signal to processes that this one started, and starts no more.

    If one leads a process group, as a guard does, all of its group get the
    signal. It finds none where the system does not list them as Linux does.
    """
    global _ending
    _ending = True
    for path in pathlib.Path("/proc/self/task").glob("*/children"):
        # A thread may end in between.
        with contextlib.suppress(OSError):
            for pid in path.read_text(encoding="ascii").split():
                _tell(int(pid), number)


def _tell(pid: int, number: int) -> None:
    """Sends a signal to a process, or to the group that it leads."""
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def code(guard: subprocess.Popen, timeout: float | None = None) -> int:
    """Waits for a started command, and returns the exit code as `run` does."""
    found = guard.wait(timeout)
    return found if found >= 0 else 128 - found


def _guard(parent: int, command: Sequence[str]) -> int:
    """Waits for a command, or kills it when this process gets a new parent."""
    # Who asks the group to end means the command; this one goes when it does.
    signal.signal(signal.SIGTERM, lambda *_: None)
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
