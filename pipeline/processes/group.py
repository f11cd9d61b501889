"""Runs processes that train one model together, and tells which this one is.

Each knows the others from the variables that `keras.distribution.initialize`
reads: KERAS_DISTRIBUTION_JOB_ADDRESSES, KERAS_DISTRIBUTION_NUM_PROCESSES and
KERAS_DISTRIBUTION_PROCESS_ID. Several machines get them from the user or the
cluster; `run` sets them for processes of this machine.
"""

import contextlib
import dataclasses
import os
import queue
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import IO

from pipeline.processes import guarded, interruption

_ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
_COUNT = "KERAS_DISTRIBUTION_NUM_PROCESSES"
_NUMBER = "KERAS_DISTRIBUTION_PROCESS_ID"

# Seconds in which others may end, too, before one is said to be the first.
_SETTLE = 0.5


@dataclasses.dataclass(frozen=True)
class Member:
    """Describes one of the processes that train a model together.

    Attributes:
        number: Its number; number 0 writes all files.
        count: Number of processes.
    """

    number: int = 0
    count: int = 1

    @property
    def writes(self) -> bool:
        """Tells whether this is the one that writes files and the log."""
        return self.number == 0


ALONE = Member()


def member() -> Member:
    """Returns which of the processes this one is, by default the only one.

    Raises:
        ValueError: The environment says something else than a number of
            processes, one of them, and an address.
    """
    count = _integer(_COUNT, default=1, least=1)
    if count == 1:
        return ALONE
    if not os.environ.get(_ADDRESSES):
        raise ValueError(
            f"`{_ADDRESSES}` must be the address of process 0, such as "
            "10.0.0.1:1234. Received: nothing"
        )
    number = _integer(_NUMBER, default=-1, least=0)
    if number >= count:
        raise ValueError(
            f"`{_NUMBER}` must be less than {_COUNT}, {count}. "
            f"Received: {number}"
        )
    return Member(number, count)


def check(count: int, *, batch_size: int, backend: str) -> None:
    """Checks that `count` processes can train together.

    Raises:
        ValueError: The backend is not JAX, or a batch has no equal parts.
    """
    if backend != "jax":
        raise ValueError(
            "`KERAS_BACKEND` must be jax to train in several processes. "
            f"Received: {backend}"
        )
    if batch_size % count:
        raise ValueError(
            f"`train.batch_size` must be a multiple of the {count} processes: "
            "it is that of all together. "
            f"Received: batch_size={batch_size}"
        )


def run(command: Sequence[str], count: int) -> None:
    """Runs a command in processes of this machine that train together.

    What process 0 prints appears as if it was printed here. When one fails,
    the others are stopped. None of them outlives this process.

    Args:
        command: The program and its arguments.
        count: Number of processes.

    Raises:
        ChildProcessError: One of them failed; says which one, and how.
    """
    shared = {
        _ADDRESSES: f"127.0.0.1:{_free_port()}",
        _COUNT: str(count),
        # Or else JAX keeps SIGTERM to itself, and listens on all addresses.
        "JAX_ENABLE_PREEMPTION_SERVICE": "false",
        interruption.SILENT: "1",
    }
    shared["JAX_COORDINATOR_BIND_ADDRESS"] = shared[_ADDRESSES]
    ended = queue.SimpleQueue()
    with contextlib.ExitStack() as stack:
        started, logs = [], []
        for number in range(count):
            # Each takes one accelerator, where there are any.
            own = {_NUMBER: str(number), "JAX_LOCAL_DEVICE_IDS": str(number)}
            log = stack.enter_context(tempfile.TemporaryFile())
            guard = stack.enter_context(
                guarded.started(
                    command,
                    output=log if number else None,
                    environment={**os.environ, **shared, **own},
                )
            )
            started.append(guard)
            logs.append(log)
        for number, guard in enumerate(started):
            threading.Thread(
                target=lambda n, g: ended.put((n, guarded.code(g))),
                args=(number, guard),
                daemon=True,
            ).start()
        for _ in started:
            first = ended.get()
            if first[1]:
                time.sleep(_SETTLE)
                failed = [first, *_waiting(ended)]
                guarded.stop(*started)
                # Others may have failed for want of the one that was killed.
                number, code = max(failed, key=lambda each: each[1] > 128)
                raise ChildProcessError(
                    f"process {number} of {count} {_how(code, logs[number])}; "
                    "the others were stopped. The same command goes on from "
                    "the last checkpoint"
                )


def _waiting(ended: queue.SimpleQueue) -> list[tuple[int, int]]:
    found = []
    with contextlib.suppress(queue.Empty):
        while True:
            found.append(ended.get_nowait())
    return found


def _how(code: int, log: IO[bytes]) -> str:
    """Says how a process ended, in words, with the last line it printed."""
    if code > 128:
        return f"was killed by {signal.Signals(code - 128).name}"
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    # An error may have more lines than the one that says what it is.
    errors = [line for line in lines if line.startswith("keras-dynamic: error")]
    said = errors or [line for line in lines if line.strip()]
    return ": ".join([f"ended with exit code {code}", *said[-1:]])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _integer(name: str, *, default: int, least: int) -> int:
    text = os.environ.get(name, "")
    try:
        number = int(text) if text else default
    except ValueError:
        number = least - 1
    if number < least:
        raise ValueError(
            f"`{name}` must be an integer, at least {least}. "
            f"Received: {text or 'nothing'}"
        )
    return number
