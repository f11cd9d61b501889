"""Regroups images on their way between two segments, some at a time."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Batch:
    """Holds some of the images between two segments.

    Attributes:
        rows: Their numbers, [B].
        tensors: What later segments read, by name, [B, ...] each.
    """

    rows: np.ndarray
    tensors: Tensors

    def take(self, chosen: np.ndarray | slice) -> "Batch":
        """Returns some of the images, by a mask, a slice, or their numbers."""
        return Batch(
            self.rows[chosen],
            {name: values[chosen] for name, values in self.tensors.items()},
        )


def regrouped(stream: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Yields the same images, `size` at a time; the last time what is left.

    At a yield, no variable holds on to images that are no longer needed.
    """
    waiting, count = [], 0
    for batch in stream:
        count += len(batch.rows)
        waiting.append(batch)
        del batch
        if count >= size:
            count -= size
            yield _taken(waiting, size)
    if count:
        yield _taken(waiting, count)


def _taken(waiting: list[Batch], size: int) -> Batch:
    """Removes the first images and returns them as one batch."""
    rows = np.concatenate([batch.rows for batch in waiting])
    tensors = {
        name: np.concatenate([batch.tensors[name] for batch in waiting])
        for name in waiting[0].tensors
    }
    whole = Batch(rows, tensors)
    # A copy of the rest, as a view would keep the whole.
    waiting[:] = [whole.take(np.arange(size, len(rows)))]
    return whole.take(slice(size))
