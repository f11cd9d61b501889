"""Ends this process in order when it is told to, by Ctrl-C or by SIGTERM."""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator

from pipeline.processes import guarded, printing

# Set for processes whose end is told of by the one that started them.
SILENT = "KERAS_DYNAMIC_ENDS_SILENTLY"

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


@contextlib.contextmanager
def in_order() -> Iterator[None]:
    """Ends this process with one line if it is told to end within the block.

    The first SIGINT or SIGTERM is passed on to the processes that this one
    started, and raises a KeyboardInterrupt in the main thread, so that
    half-written files are removed on the way out of the block. The exit code is
    128 plus the number of the signal. A second signal ends the process at once.
    A signal that whoever started this process had set to be ignored stays so.
    """
    told: list[int] = []

    def tell(number: int, _) -> None:
        if told:
            _end(told[0])
        told.append(number)
        _hush()
        guarded.end_children(signal.SIGTERM)
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, tell)
        for number in _WORDS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        # Whatever ends the block then: Beam raises errors of its own instead.
        if told:
            _end(told[0])
        for number, handler in before.items():
            signal.signal(number, handler)


def _hush() -> None:
    """Silences threads that fail because the others end."""
    logging.disable(logging.CRITICAL)
    threading.excepthook = lambda _: None
    sys.unraisablehook = lambda _: None


def _end(number: int) -> None:
    """Ends this process and those that it started.

    It waits for nothing else: no threads of a library, nor JAX, which at its
    exit waits for the processes of other machines.
    """
    guarded.end_children(signal.SIGKILL)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        if not os.environ.get(SILENT):
            printing.show(f"keras-dynamic: {_WORDS[number]}", sys.stderr)
        sys.stderr.flush()
    os._exit(128 + number)
