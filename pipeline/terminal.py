"""What a person sees who waits; a log file gets plain lines instead."""

import sys
from collections.abc import Iterable, Iterator, Sequence
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
    yield from tqdm.tqdm(
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
