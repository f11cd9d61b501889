"""Builds and reads the manifest of a prepared data set.

It says what the data set holds, and in which files:

    {"format_version": 2,
     "made_from": hash of configuration and source, or "" if the data set lies
     where nobody else looks for one,
     "source": name, "labels": [class names],
     "size": height and width, "channels": 1 or 3,
     "storage": "raw" or "encoded",
     "counts": {split: images}, "listed": all that the source listed,
     "rejected": images set aside, those of rejected.jsonl,
     "skipped": hidden and system files, which are in no list,
     "left_out": {"rejected": [images set aside per class, and last those of
                               which the class is not known],
                  "dropped": [copies left out, alike]},
     "conflicts": [[key, key of the same image with another label], ...], at
     most `CONFLICTS`,
     "duplicates": {"copies": images that repeat another byte for byte,
                    "across_splits": those whose other is in another published
                    split, "conflicting": those with another label,
                    "dropped": those left out, those of duplicates.jsonl},
     "statistics": {split: see pipeline.data.tally.describe},
     "shards": [{"file": name, "split": split, "images": n, "bytes": n,
                 "sha256": hash}, ...]}

The numbers counts, rejected, skipped and dropped add up to listed. Nothing in
the manifest depends on when or where the data was prepared. Readers read the
shards that it names and no others.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence

from pipeline.data import splits, tally
from tflite.format import files, strict_json

FILE = "manifest.json"
FORMAT_VERSION = 2
# A hundred thousand shards take a sixth of it.
MAX_BYTES = 2**27
CONFLICTS = 10


def build(
    *,
    made_from: str,
    source: str,
    labels: Sequence[str],
    size: int,
    channels: int,
    storage: str,
    rows: Sequence[dict],
) -> dict:
    """Returns the manifest of a data set, given the rows of all buckets.

    Args:
        made_from: Fingerprint of configuration and source.
        source: Its name.
        labels: Class names.
        size: Height and width.
        channels: 1 or 3.
        storage: "raw" or "encoded".
        rows: Rows that `pipeline.prepare.shard.WriteBucket` yields, in any
            order.
    """
    shards = [shard for row in rows for shard in row["shards"]]
    shards.sort(key=lambda s: (splits.SPLITS.index(s["split"]), s["file"]))
    counts, statistics = {}, {}
    for split in splits.SPLITS:
        members = [shard for shard in shards if shard["split"] == split]
        counts[split] = sum(shard["images"] for shard in members)
        if members:
            total = tally.add(shard["tally"] for shard in members)
            statistics[split] = tally.describe(total, len(labels))
    return {
        "format_version": FORMAT_VERSION,
        "made_from": made_from,
        "source": source,
        "labels": list(labels),
        "size": size,
        "channels": channels,
        "storage": storage,
        "counts": counts,
        "listed": sum(row["listed"] for row in rows),
        "rejected": sum(len(row["rejected"]) for row in rows),
        "skipped": sum(row["skipped"] for row in rows),
        "left_out": {
            fate: _by_class(rows, fate, len(labels))
            for fate in ("rejected", "dropped")
        },
        "conflicts": sorted(pair for row in rows for pair in row["conflicts"])[
            :CONFLICTS
        ],
        "duplicates": {
            "copies": sum(row["copies"] for row in rows),
            "across_splits": sum(row["across"] for row in rows),
            "conflicting": sum(row["conflicting"] for row in rows),
            "dropped": sum(len(row["dropped"]) for row in rows),
        },
        "statistics": statistics,
        "shards": [
            {
                name: shard[name]
                for name in ("file", "split", "images", "bytes", "sha256")
            }
            for shard in shards
        ],
    }


def _by_class(rows: Sequence[dict], fate: str, classes: int) -> list[int]:
    """Returns how many images met a fate, per class and last without one."""
    counts = [row["left_out"][fate] for row in rows]
    return [
        sum(count.get(str(label), 0) for count in counts)
        for label in (*range(classes), -1)
    ]


def without_class(manifest: Mapping, split: str) -> int:
    """Counts the images of a split whose class is not known.

    0 where the manifest does not describe the split.
    """
    described = manifest.get("statistics", {}).get(split)
    if described is None:
        return 0
    return manifest["counts"][split] - sum(described["classes"])


def stored_labels(manifest: Mapping, split: str) -> int:
    """Counts the labels that records of a split may have.

    They are the classes, and one more for images whose class is not known.
    """
    return len(manifest["labels"]) + (without_class(manifest, split) > 0)


def read(directory: str | os.PathLike) -> dict:
    """Returns the manifest of a prepared directory on a local disk.

    Raises:
        ValueError: There is none, or it is not one of this version.
    """
    path = pathlib.Path(directory, FILE)
    try:
        data = files.read(path, MAX_BYTES)
    except OSError as error:
        raise ValueError(
            f"`directory` must hold prepared images, but {path} cannot be "
            f"read: {error}"
        ) from error
    return parse(data, str(path))


def parse(data: bytes, path: str) -> dict:
    """Returns the manifest in the bytes of a file.

    Raises:
        ValueError: They are no manifest of this version; `path` is named.
    """
    try:
        manifest = strict_json.decode(data)
    except ValueError as error:
        raise ValueError(
            f"{path} must be the manifest of prepared images, but cannot be "
            f"read: {error}"
        ) from error
    version = isinstance(manifest, dict) and manifest.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} must have format_version {FORMAT_VERSION}; prepare the "
            f"images again. Received: {version}"
        )
    return manifest
