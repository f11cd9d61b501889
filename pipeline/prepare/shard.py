"""Writes the shards of a bucket in a worker, one per split."""

import contextlib
import hashlib
import pathlib
import uuid
from collections.abc import Iterable, Iterator

import apache_beam as beam
from absl import logging
from apache_beam.metrics import Metrics

from pipeline.data import record, splits, tally
from pipeline.data.form import Form, Stored
from pipeline.data.image import BadImage
from pipeline.data.manifest import CONFLICTS
from pipeline.data.record import Record
from pipeline.prepare.plan import Plan, unpack
from pipeline.sources import Source
from pipeline.sources.file_names import SKIPPED
from pipeline.sources.item import Item
from pipeline.storage import beam_files, tfrecord_file


class WriteBucket(beam.DoFn):
    """Writes the images of a bucket in order, yields a row of their fates.

    An attempt is written under a name of its own and renamed when complete; the
    final name holds the hash of the bytes. So a bundle that a runner repeats
    replaces a shard by the same bytes, and a new data set in an object store
    never touches a shard of the old one that differs.

    The row of a bucket is plain JSON:

        {"listed": items, "shards": [{"file", "split", "images", "bytes",
         "sha256", "tally"}, ...], "rejected": [[key, reason], ...],
         "dropped": [[key, key of the image it repeats], ...],
         "skipped": hidden and system files, "copies": images that repeat
         another, "across": those whose other is in another split,
         "conflicting": those with another label, "conflicts": [[key, key of
         the image it repeats], ...] of some of these, "left_out":
         {"rejected": {label: items}, "dropped": {label: items}}}

    A label is -1 for items whose class is not known.
    """

    def __init__(
        self,
        *,
        source: Source,
        plan: Plan,
        form: Form,
        drop_copies: bool,
        output: str,
        work: str,
    ):
        self.source = source
        self.plan = plan
        self.form = form
        self.drop_copies = drop_copies
        self.output = output
        self.work = work

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[dict]:
        """Writes the shards of one bucket."""
        bucket, chunks = element
        items = [item for chunk in chunks for item in unpack(chunk)]
        items.sort(key=self.plan.order)
        row = {"listed": len(items), "shards": [], "rejected": []}
        row |= {"dropped": [], "copies": 0, "across": 0, "conflicting": 0}
        row |= {"skipped": 0, "conflicts": []}
        row["left_out"] = {"rejected": {}, "dropped": {}}
        first = {}
        with contextlib.ExitStack() as stack:
            shards = {}
            for item in items:
                if item.reason == SKIPPED:
                    row["skipped"] += 1
                    continue
                try:
                    image, content = self._load(item, bucket)
                    stored = self.form.apply(content)
                except BadImage as error:
                    row["rejected"].append([item.key, str(error)])
                    _count(row, "rejected", item)
                    continue
                split = self.plan.split(item, image)
                if image in first:
                    if self._drops(item, split, first[image], row):
                        continue
                else:
                    first[image] = item.key, item.label, split
                if split not in shards:
                    shards[split] = stack.enter_context(
                        _Shard(self.work, self.form)
                    )
                shards[split].add(item, stored)
            for split, shard in shards.items():
                row["shards"].append(self._publish(shard, split, bucket))
        images = sum(shard["images"] for shard in row["shards"])
        Metrics.counter("prepare", "images").inc(images)
        Metrics.counter("prepare", "rejected").inc(len(row["rejected"]))
        Metrics.counter("prepare", "copies").inc(row["copies"])
        logging.info(
            "bucket %d of %d: %d images, %d rejected",
            bucket + 1,
            self.plan.buckets,
            images,
            len(row["rejected"]),
        )
        yield row

    def _load(self, item: Item, bucket: int) -> tuple[bytes, object]:
        """Returns the identity of an item's image, and the image."""
        if item.reason:
            raise BadImage(item.reason)
        content = self.source.load(item.location)
        image = splits.identity(content)
        if self.plan.bucket(image) != bucket:
            raise BadImage("changed while it was being prepared")
        return image, content

    def _drops(
        self, item: Item, split: str, original: tuple, row: dict
    ) -> bool:
        """Counts a copy, and tells whether it is to be left out."""
        key, label, original_split = original
        across = split != original_split
        row["copies"] += 1
        row["across"] += across
        if item.label != label:
            row["conflicting"] += 1
            row["conflicts"] = [*row["conflicts"], [item.key, key]][:CONFLICTS]
        if not (across or self.drop_copies):
            return False
        row["dropped"].append([item.key, key])
        _count(row, "dropped", item)
        return True

    def _publish(self, shard: "_Shard", split: str, bucket: int) -> dict:
        facts = shard.close()
        name = (
            f"{split}-{bucket:05d}-of-{self.plan.buckets:05d}-"
            f"{facts['sha256'][:12]}.tfrecord"
        )
        beam_files.rename(shard.path, beam_files.join(self.output, name))
        return {"file": name, "split": split, **facts}


def _count(row: dict, fate: str, item: Item) -> None:
    counts = row["left_out"][fate]
    counts[str(item.label)] = counts.get(str(item.label), 0) + 1


def buckets_written(directory: str) -> int:
    """Counts the buckets of which a local directory has shards."""
    names = pathlib.Path(directory).glob("*-?????-of-?????-*.tfrecord")
    return len({name.name.split("-")[1] for name in names})


class _Shard:
    """Writes a shard under a name of its own."""

    def __init__(self, directory: str, form: Form):
        self.path = beam_files.join(directory, uuid.uuid4().hex)
        self._form = form
        self._file = beam_files.create(self.path)
        self._digest = hashlib.sha256()
        self._images = self._bytes = 0
        self._counter = tally.Counter(form.channels)

    def __enter__(self) -> "_Shard":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def add(self, item: Item, stored: Stored) -> None:
        """Writes one image."""
        data = tfrecord_file.frame(
            record.encode(
                Record(
                    key=item.key,
                    label=item.label,
                    height=self._form.size,
                    width=self._form.size,
                    channels=self._form.channels,
                    raw=stored.raw,
                    encoded=stored.encoded,
                    format=stored.format,
                )
            )
        )
        self._file.write(data)
        self._digest.update(data)
        self._images += 1
        self._bytes += len(data)
        self._counter.add(
            stored.pixels, item.label, stored.height, stored.width
        )

    def close(self) -> dict:
        """Ends the file, and returns the counts and the hash of its images."""
        self._file.close()
        return {
            "images": self._images,
            "bytes": self._bytes,
            "sha256": self._digest.hexdigest(),
            "tally": self._counter.tally(),
        }
