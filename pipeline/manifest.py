"""The manifest of a prepared data set: what it holds, and in which files.

    {"format_version": 1, "source": name, "labels": [class names],
     "size": height and width, "channels": 1 or 3,
     "counts": {split: images}, "rejected": images set aside,
     "channel_mean": {split: [mean of pixel / 255 per channel]},
     "shards": [{"file": name, "split": split, "images": n, "bytes": n,
                 "sha256": hash}, ...]}

Nothing in it depends on when or where the data was prepared.
"""

import json
import os
import pathlib
from collections.abc import Sequence

from pipeline import splits

FILE = "manifest.json"
FORMAT_VERSION = 1


def build(
    *,
    source: str,
    labels: Sequence[str],
    size: int,
    channels: int,
    shards: Sequence,
    rejected: int,
) -> dict:
    """Returns the manifest of these shards (of type `pipeline.shard.Shard`)."""
    counts, means = {}, {}
    for split in splits.SPLITS:
        members = [shard for shard in shards if shard.split == split]
        counts[split] = sum(shard.images for shard in members)
        if counts[split]:
            sums = zip(*(shard.channel_sums for shard in members), strict=True)
            scale = 255 * counts[split] * size**2
            means[split] = [sum(channel) / scale for channel in sums]
    return {
        "format_version": FORMAT_VERSION,
        "source": source,
        "labels": list(labels),
        "size": size,
        "channels": channels,
        "counts": counts,
        "rejected": rejected,
        "channel_mean": means,
        "shards": [
            {
                "file": shard.file,
                "split": shard.split,
                "images": shard.images,
                "bytes": shard.bytes,
                "sha256": shard.sha256,
            }
            for shard in shards
        ],
    }


def read(directory: str | os.PathLike) -> dict:
    """Returns the manifest of a prepared directory.

    Raises:
        ValueError: There is none, or it is not one of this version.
    """
    path = pathlib.Path(directory, FILE)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`directory` must hold prepared images, but {path} cannot be "
            f"read: {error}"
        ) from error
    version = isinstance(manifest, dict) and manifest.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} must have format_version {FORMAT_VERSION}. "
            f"Received: {version}"
        )
    return manifest
