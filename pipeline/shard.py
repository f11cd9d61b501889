"""Which shard an image goes to, and how a worker writes a shard."""

import collections
import dataclasses
import hashlib
import json
import pathlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping

import apache_beam as beam
import numpy as np
from absl import logging
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from PIL import Image

from pipeline import image, record, splits

# Plain values, because Beam codes them several times faster than objects.
Listed = tuple[str, int, str, str | None]  # Key, label, location, split.
Group = tuple[str, int]  # Split, number of the shard in it.
Placed = tuple[int, str, int, str]  # Order, key, label, location.


@dataclasses.dataclass(frozen=True)
class Shard:
    """What a worker tells about the shard it wrote.

    Attributes:
        file: Name of the file.
        split: Name of the split.
        images: Number of records.
        bytes: Size of the file.
        sha256: Hash of the file.
        channel_sums: Sum of all pixels, per channel.
        labels: The labels that occur.
        rejected: (key, reason) of each image that was set aside.
    """

    file: str
    split: str
    images: int
    bytes: int
    sha256: str
    channel_sums: tuple[int, ...]
    labels: tuple[int, ...]
    rejected: tuple[tuple[str, str], ...]


def place(
    listed: Listed,
    fractions: Mapping[str, float],
    seed: int,
    shards: Mapping[str, int],
) -> tuple[Group, Placed]:
    """Returns the group of an image, and the image with its order there.

    Args:
        listed: The fields of an `Item`.
        fractions: Shares of the splits.
        seed: Of the splits and the order.
        shards: Number of shards per split.
    """
    key, label, location, split = listed
    split = split or splits.assign(key, fractions, seed)
    order = splits.hash63(key, f"order-{seed}")
    number = order * shards[split] >> splits.HASH_BITS
    return (split, number), (order, key, label, location)


class WriteShard(beam.DoFn):
    """Decodes the images of a group, writes them in order, yields a `Shard`.

    An attempt is written under a name of its own and renamed when complete,
    so a bundle that a runner repeats replaces a shard by the same bytes.
    """

    def __init__(
        self,
        stage: str,
        load: Callable[[str], Image.Image],
        size: int,
        channels: int,
        shards: Mapping[str, int],
    ):
        self.stage = stage
        self.load = load
        self.size = size
        self.channels = channels
        self.shards = shards

    def process(
        self, element: tuple[Group, Iterable[Placed]]
    ) -> Iterator[Shard]:
        """Writes the shard of one group."""
        (split, number), placed = element
        name = f"{split}-{number:05d}-of-{self.shards[split]:05d}.tfrecord"
        attempt = FileSystems.join(self.stage, "work", uuid.uuid4().hex)
        digest, size = hashlib.sha256(), 0
        sums = np.zeros((self.size, self.size, self.channels), np.int64)
        labels, rejected = collections.Counter(), []
        with FileSystems.create(
            attempt, compression_type=CompressionTypes.UNCOMPRESSED
        ) as file:
            for _, key, label, location in sorted(placed):
                try:
                    loaded = self.load(location)
                except image.BadImage as error:
                    rejected.append((key, str(error)))
                    continue
                pixels = image.fit(loaded, self.size, self.channels)
                data = record.frame(record.encode(pixels, label, key))
                file.write(data)
                digest.update(data)
                size += len(data)
                sums += pixels
                labels[label] += 1
        FileSystems.rename([attempt], [FileSystems.join(self.stage, name)])
        images = labels.total()
        Metrics.counter("prepare", "images").inc(images)
        Metrics.counter("prepare", "rejected").inc(len(rejected))
        logging.info("%s: %d images, %d rejected", name, images, len(rejected))
        yield Shard(
            file=name,
            split=split,
            images=images,
            bytes=size,
            sha256=digest.hexdigest(),
            channel_sums=tuple(sums.sum((0, 1)).tolist()),
            labels=tuple(sorted(labels)),
            rejected=tuple(rejected),
        )


def write_row(shard: Shard, stage: str) -> None:
    """Leaves the row of a complete shard where the driver reads it."""
    path = FileSystems.join(stage, "work", f"{shard.file}.json")
    with FileSystems.create(
        path, compression_type=CompressionTypes.UNCOMPRESSED
    ) as file:
        file.write(json.dumps(dataclasses.asdict(shard)).encode())


def read_rows(stage: pathlib.Path) -> list[Shard]:
    """Returns all shards that were completed, in the order of their splits."""
    shards = []
    for path in (stage / "work").glob("*.json"):
        row = json.loads(path.read_text(encoding="utf-8"))
        rejected = tuple((key, reason) for key, reason in row.pop("rejected"))
        shards.append(Shard(rejected=rejected, **row))
    return sorted(
        shards, key=lambda row: (splits.SPLITS.index(row.split), row.file)
    )
