"""Shows progress to a person who waits; a log file gets plain lines instead."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tqdm

from pipeline.processes import heartbeat


def is_watched() -> bool:
    """Tells whether standard error, where logs go, is a terminal."""
    return sys.stderr.isatty()


def bar(
    steps: Iterable[Any], count: int, what: str, *, done: int = 0
) -> Iterator[Any]:
    """Yields the steps, and shows how many of `count` are done.

    The bar appears only in a terminal, and is gone afterwards. Elsewhere
    `heartbeat` says how many are done, where nothing else is logged.

    Args:
        steps: Steps to go through.
        count: Number of steps, with those done before.
        what: Name of the steps, such as "epoch 1/30".
        done: Number of steps done before the first of `steps`.
    """
    # A generator: Keras takes no other iterable of batches.
    watched = is_watched()
    for number, step in enumerate(_bar(steps, count, what, done), done):
        heartbeat.note(f"{what}: {number} of {count} steps done")
        if watched and number > done:
            heartbeat.seen()
        yield step


@contextlib.contextmanager
def following(
    finished: Callable[[], int], count: int, what: str, *, seconds: float = 0.5
) -> Iterator[None]:
    """Shows how much of others' work is done, while the block runs.

    The bar appears only in a terminal, and is gone afterwards.

    Args:
        finished: Returns how many are done; called in a thread of its own.
        count: Number of tasks.
        what: Name of the tasks, such as "prepared buckets of images".
        seconds: Seconds between two calls.
    """
    heartbeat.note(lambda: f"{finished()} of {count} {what}")
    if not is_watched():
        yield
        return
    stop = threading.Event()

    def follow():
        while not stop.wait(seconds):
            shown.update(finished() - shown.n)
            shown.refresh()

    with _bar(None, count, what, 0) as shown:
        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _bar(steps, count, what, done):
    return tqdm.tqdm(
        steps,
        what,
        count,
        initial=done,
        leave=False,
        file=sys.stderr,
        disable=not is_watched(),
        dynamic_ncols=True,
    )


def row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Returns a line of a table, with each cell right-aligned in its column."""
    pairs = zip(cells, widths, strict=True)
    return "  ".join(cell.rjust(width) for cell, width in pairs)
