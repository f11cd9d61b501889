"""Decides where every image goes, before any is decoded.

A bucket holds the images whose identities have hashes in one part of the
range. Their number is a power of two, so that a set that grows changes only
the buckets of its new images, until all of them are halved at once.
"""

import collections
import dataclasses
import itertools
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping

from pipeline.data import splits
from pipeline.data.image import BadImage
from pipeline.sources import Source
from pipeline.sources.item import Item

# Items that travel together: the more, the smaller they are packed.
_CHUNK = 16_384


@dataclasses.dataclass(frozen=True)
class Plan:
    """Holds the settings that decide where an image goes.

    Attributes:
        fractions: Shares of the splits.
        seed: Seed of the splits and of the order in a shard.
        buckets: Number of buckets, a power of two.
    """

    fractions: Mapping[str, float]
    seed: int
    buckets: int

    def bucket(self, image: bytes) -> int:
        """Returns the bucket of an image, given its identity."""
        point = splits.hash63(image, f"bucket-{self.seed}")
        return point * self.buckets >> splits.HASH_BITS

    def split(self, item: Item, image: bytes) -> str:
        """Returns the split of an item, given its image's identity."""
        return item.split or splits.assign(image, self.fractions, self.seed)

    def order(self, item: Item) -> tuple:
        """Returns the key that the items of a bucket are sorted by.

        Those of published splits come first, test before all: whatever
        repeats one of them later is the copy, and may not be trained on.
        """
        held_out = -splits.SPLITS.index(item.split) if item.split else 1
        key = splits.hash63(_name(item), f"order-{self.seed}")
        return held_out, key, item


def buckets(images: int, wanted: int) -> int:
    """Returns how many buckets give each at most `wanted` images, about."""
    return 1 << max(0, -(-images // wanted) - 1).bit_length()


def pack(items: Iterable[Item]) -> bytes:
    """Returns items as bytes, for a small shuffle."""
    # A location is often the key, and needs no second place.
    short = (
        item._replace(location=None) if item.location == item.key else item
        for item in items
    )
    columns = list(zip(*short, strict=True))
    return zlib.compress(json.dumps(columns, separators=(",", ":")).encode())


def unpack(data: bytes) -> Iterator[Item]:
    """Returns the items that were packed."""
    columns = json.loads(zlib.decompress(data))
    for item in map(Item._make, zip(*columns, strict=True)):
        yield (
            item
            if item.location is not None
            else item._replace(location=item.key)
        )


def list_piece(piece: str, source: Source) -> Iterator[list[Item]]:
    """Yields the items of a piece in chunks."""
    items = source.items(piece)
    while chunk := list(itertools.islice(items, _CHUNK)):
        yield chunk


def place(
    chunk: Iterable[Item], source: Source, plan: Plan
) -> Iterator[tuple[int, bytes]]:
    """Reads the images of a chunk and yields, per bucket, its items packed."""
    placed = collections.defaultdict(list)
    for item in chunk:
        image = b""
        if not item.reason:
            try:
                image = splits.identity(source.load(item.location))
            except BadImage as error:
                item = item._replace(reason=str(error))
        placed[plan.bucket(image or _name(item))].append(item)
    for bucket, items in placed.items():
        yield bucket, pack(items)


def _name(item: Item) -> bytes:
    """Returns an identity of an item made from its key alone."""
    return splits.identity(item.key.encode(errors="surrogatepass"))
