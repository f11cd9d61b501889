"""Yields the batches of an epoch, read ahead by threads.

A batch is a function of the seed, the epoch and its position, whatever the
number of threads, so an epoch can be entered anywhere. Nothing here knows
TensorFlow or Keras: the batches are numpy arrays, for every backend.
"""

import collections
import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from pipeline.data.augmentation import Augmentation, Part, center_crop
from pipeline.data.dataset import Split

Batch = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Order:
    """Tells which images make which batch of which epoch.

    In distributed training each worker has an `Order` of its own. At every
    step the workers' batches are together those of one worker with a batch
    size `workers` times as large, and augmented as they would be there.

    Attributes:
        images: Number of images.
        batch_size: Images per batch, at most.
        seed: Seed of the whole training.
        worker: Number of this worker.
        workers: Number of workers; all have equal numbers of batches.
        drop_remainder: Whether to leave out the images that do not fill a batch
            on every worker, others in every epoch. Otherwise every image occurs
            once, and the sizes of batches differ by at most one.
    """

    images: int
    batch_size: int
    seed: int
    worker: int = 0
    workers: int = 1
    drop_remainder: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.worker < self.workers:
            raise ValueError(
                "`worker` must be between 0 and `workers` - 1. Received: "
                f"worker={self.worker}, workers={self.workers}"
            )
        if not 1 <= self.batch_size <= self.images // self.workers:
            raise ValueError(
                f"`batch_size` must be between 1 and the {self.images} images "
                f"over {self.workers} workers. "
                f"Received: batch_size={self.batch_size}"
            )

    def __len__(self) -> int:
        """Returns the number of batches of an epoch."""
        step = self.batch_size * self.workers
        if self.drop_remainder:
            return self.images // step
        return -(-self.images // step)

    def epoch(self, number: int) -> list[np.ndarray]:
        """Returns the indices of the images in each batch of this worker."""
        return [
            whole[self.part(len(whole)).rows]
            for whole in self.whole_batches(number)
        ]

    def whole_batches(self, number: int) -> list[np.ndarray]:
        """Returns the indices of the images in each batch of all workers."""
        order = np.random.default_rng([self.seed, number]).permutation(
            self.images
        )
        if self.drop_remainder:
            order = order[: len(self) * self.batch_size * self.workers]
        return np.array_split(order, len(self))

    def part(self, whole: int) -> Part:
        """Returns which of the `whole` images of a batch are this worker's."""
        first, last = (
            whole * worker // self.workers
            for worker in (self.worker, self.worker + 1)
        )
        return Part(slice(first, last), whole)

    def turned(self, epoch: int) -> np.ndarray:
        """Returns which images, bool [images], an epoch shows mirrored.

        Each is mirrored in every second epoch, in the first one half of them,
        chosen by the seed.
        """
        drawn = np.random.default_rng(
            np.random.SeedSequence(self.seed, spawn_key=(0,))
        ).random(self.images)
        return (drawn < 0.5) ^ bool(epoch % 2)

    def generator(self, epoch: int, position: int) -> np.random.Generator:
        """Returns the generator that augments the batch at a position."""
        # Not another word of entropy: [seed, epoch, 0] is [seed, epoch].
        return np.random.default_rng(
            np.random.SeedSequence([self.seed, epoch], spawn_key=(position,))
        )


def shuffled(
    images: Split,
    order: Order,
    *,
    epoch: int,
    augmentation: Augmentation,
    start: int = 0,
    stop: int | None = None,
    threads: int | None = None,
) -> Iterator[Batch]:
    """Yields the batches of one epoch, or of a part of it, for training.

    Args:
        images: Split from `dataset.open_split`.
        order: Order of as many images.
        epoch: Number of the epoch.
        augmentation: Augmentation from `augmentation.get`.
        start: Position of the first batch.
        stop: Position after the last one, by default the end of the epoch.
        threads: How many threads read; by default as many as there are cores.

    Yields:
        float32 [B, size, size, C] in [0, 1], int32 [B].
    """

    def make(
        indices: np.ndarray, generator: np.random.Generator, part: Part
    ) -> Batch:
        pixels = augmentation(images.take(indices), generator, part)
        return _scaled(pixels), images.labels[indices]

    return drawn(
        make, order, epoch=epoch, start=start, stop=stop, threads=threads
    )


def drawn(
    make: Callable[[np.ndarray, np.random.Generator, Part], object],
    order: Order,
    *,
    epoch: int,
    start: int = 0,
    stop: int | None = None,
    threads: int | None = None,
) -> Iterator:
    """Yields what is made of the batches of one epoch, or of a part of it.

    Args:
        make: Function of the indices of a batch's images, of the generator for
            it, and of its place.
        order: Order of the images.
        epoch: Number of the epoch.
        start: Position of the first batch.
        stop: Position after the last one, by default the end of the epoch.
        threads: How many threads make; by default as many as there are cores.
    """
    wholes = order.whole_batches(epoch)
    turned = order.turned(epoch)

    def read(position: int) -> object:
        part = order.part(len(wholes[position]))
        indices = wholes[position][part.rows]
        part = dataclasses.replace(part, turned=turned[indices])
        return make(indices, order.generator(epoch, position), part)

    positions = range(len(wholes))[start:stop]
    return read_ahead(read, positions, threads=threads)


def in_order(
    images: Split,
    *,
    batch_size: int,
    size: int,
    worker: int = 0,
    workers: int = 1,
    threads: int | None = None,
) -> Iterator[Batch]:
    """Yields all images in their order, cropped at the centre.

    Args:
        images: Split from `dataset.open_split`.
        batch_size: Images per batch; the last one may have fewer, or none if
            there are other workers.
        size: Height and width of the model's input.
        worker: Number of this worker.
        workers: Number of workers; all have equal numbers of batches, and at
            every step these together are those of one worker with a batch size
            `workers` times as large.
        threads: How many threads read; by default as many as there are cores.

    Yields:
        float32 [B, size, size, C] in [0, 1], int32 [B].
    """

    def read(start: int) -> Batch:
        start += worker * batch_size
        indices = np.arange(start, min(start + batch_size, len(images)))
        pixels = center_crop(images.take(indices), size)
        return _scaled(pixels), images.labels[indices]

    starts = range(0, len(images), batch_size * workers)
    return read_ahead(read, starts, threads=threads)


def read_ahead(
    read: Callable[[int], object],
    positions: Iterable[int],
    *,
    threads: int | None = None,
) -> Iterator:
    """Yields `read(position)` of every position, in order, from threads.

    At most two results per thread are kept. An error is raised where its
    result would have been; closing the iterator ends the threads.
    """
    threads = threads or os.cpu_count() or 1
    waiting = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        try:
            for position in positions:
                waiting.append(pool.submit(read, position))
                if len(waiting) == 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for result in waiting:
                result.cancel()


def _scaled(pixels: np.ndarray) -> np.ndarray:
    return np.divide(pixels, np.float32(255), dtype=np.float32)
