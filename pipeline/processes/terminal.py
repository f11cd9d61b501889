"""What a person sees who waits; a log file gets plain lines instead."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tqdm


def is_watched() -> bool:
    """Whether standard error, where logs go, is a terminal."""
    return sys.stderr.isatty()


def bar(
    steps: Iterable[Any], count: int, what: str, *, done: int = 0
) -> Iterator[Any]:
    """Yields the steps, and shows how many of `count` are done.

    Only in a terminal, and gone afterwards.

    Args:
        steps: To go through.
        count: How many there are, with those done before.
        what: They are, such as "epoch 1/30".
        done: Before the first of `steps`.
    """
    # A generator: Keras takes no other iterable of batches.
    yield from _bar(steps, count, what, done)


@contextlib.contextmanager
def following(
    finished: Callable[[], int], count: int, what: str, *, seconds: float = 0.5
) -> Iterator[None]:
    """Shows how much of what others do is done, while the block runs.

    Only in a terminal, and gone afterwards.

    Args:
        finished: Says how many are done; called in a thread of its own.
        count: How many there are.
        what: They are.
        seconds: Between two calls.
    """
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
    """A line of a table, each cell to the right of its column."""
    pairs = zip(cells, widths, strict=True)
    return "  ".join(cell.rjust(width) for cell, width in pairs)
