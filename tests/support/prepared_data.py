"""Makes small prepared directories from arrays."""

import hashlib
import io
import json
import pathlib

import numpy as np
from PIL import Image

from pipeline.data import manifest, record, splits
from pipeline.storage import tfrecord_file


def write(
    directory,
    members,
    *,
    shard_images=20,
    storage="raw",
    labels=None,
    encode=record.encode,
):
    """Writes shards and their manifest.

    Args:
        directory: An existing directory.
        members: Images uint8 [N, S, S, C] and labels [N], by split.
        shard_images: Images per shard.
        storage: "raw", "png", "jpeg", or "mixed": raw and PNG in turn.
        labels: Number of classes; None: at least 10, and enough for `members`.
        encode: From a record to the bytes of an Example.
    """
    directory, shards = pathlib.Path(directory), []
    if labels is None:
        labels = max(10, *(1 + each.max() for _, each in members.values()))
    for split, (images, classes) in members.items():
        for start in range(0, len(images), shard_images):
            chosen = range(start, min(start + shard_images, len(images)))
            data = b"".join(
                tfrecord_file.frame(
                    encode(
                        stored(
                            f"{split}/{i:06}", images[i], classes[i], storage, i
                        )
                    )
                )
                for i in chosen
            )
            name = f"{split}-{start // shard_images:05}.tfrecord"
            (directory / name).write_bytes(data)
            shards.append(
                {
                    "file": name,
                    "split": split,
                    "images": len(chosen),
                    "bytes": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                }
            )
    _, side, _, channels = next(iter(members.values()))[0].shape
    counts = {
        split: len(members[split][0]) if split in members else 0
        for split in splits.SPLITS
    }
    description = {
        "format_version": manifest.FORMAT_VERSION,
        "labels": [str(label) for label in range(labels)],
        "size": side,
        "channels": channels,
        "counts": counts,
        "rejected": 0,
        "shards": shards,
    }
    (directory / manifest.FILE).write_text(json.dumps(description))
    return directory


def stored(key, pixels, label, storage="raw", number=0):
    """Returns the record of one image."""
    if storage == "mixed":
        storage = ("raw", "png")[number % 2]
    content = {"raw": pixels.tobytes()}
    if storage != "raw":
        file = io.BytesIO()
        grey = pixels.shape[-1] == 1
        Image.fromarray(pixels[..., 0] if grey else pixels).save(file, storage)
        content = {"encoded": file.getvalue(), "format": storage}
    return record.Record(key, int(label), *pixels.shape, **content)


def images(count, side=8, channels=3, seed=0):
    """Returns random pixels, and labels that number the images."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (count, side, side, channels), np.uint8)
    return pixels, np.arange(count, dtype=np.int32)
