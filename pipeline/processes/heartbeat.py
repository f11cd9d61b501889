"""Says what a stage is doing, and from time to time that it still does it.

The first step of a training is compiled, a conversion makes no steps at all:
without a word for minutes, nobody knows whether anything happens. Who carries
out a stage says what begins, and notes how far it is; where nothing has been
logged for half a minute, a line repeats that.
"""

import contextlib
import logging as standard_logging
import sys
import threading
import time
from collections.abc import Callable, Iterator

import tqdm
from absl import logging

# Seconds without a line after which there is one.
_PATIENCE = 30.0


class _Heard(standard_logging.Handler):
    """Notes when a line was logged that a person sees."""

    def __init__(self):
        super().__init__()
        # What hides the lines of libraries hides them here, too.
        self.filters = logging.get_absl_handler().filters
        self.at = time.monotonic()

    def emit(self, record) -> None:
        """Notes the time."""
        self.at = time.monotonic()


class _State:
    """Holds what is being done in this process: text, or who returns it."""

    def __init__(self):
        self.now: Callable[[], str] | None = None
        self.heard: _Heard | None = None


_state = _State()


@logging.skip_log_prefix
def say(text: str) -> None:
    """Logs what begins now, and remembers it."""
    _log(text)
    note(text)


def note(text: str | Callable[[], str]) -> None:
    """Remembers what a stage is doing, without logging it.

    Args:
        text: A text, or a function that returns it when a line is due.
    """
    if _state.heard:
        _state.now = text if callable(text) else lambda: text


def seen() -> None:
    """Notes that a person has just seen that something happens."""
    if _state.heard:
        _state.heard.at = time.monotonic()


@contextlib.contextmanager
def beating(stage: str, *, seconds: float = _PATIENCE) -> Iterator[None]:
    """Logs a line whenever nothing was logged for a while in the block.

    Args:
        stage: Name of the stage, with which the line begins.
        seconds: How long nothing may be logged.
    """
    heard = _Heard()
    before = _state.now, _state.heard
    _state.now, _state.heard = None, heard
    stop = threading.Event()
    start = time.monotonic()

    def beat():
        while not stop.wait(max(0.0, heard.at + seconds - time.monotonic())):
            if time.monotonic() < heard.at + seconds:
                continue
            now = _state.now() if _state.now else "still working"
            _log(f"{stage}, {_duration(time.monotonic() - start)}: {now}")
            heard.at = time.monotonic()

    thread = threading.Thread(target=beat, daemon=True)
    standard_logging.getLogger().addHandler(heard)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        standard_logging.getLogger().removeHandler(heard)
        _state.now, _state.heard = before


@logging.skip_log_prefix
def _log(text: str) -> None:
    # A bar that is shown makes room for the line.
    with tqdm.tqdm.external_write_mode(file=sys.stderr):
        logging.info("%s", text)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
