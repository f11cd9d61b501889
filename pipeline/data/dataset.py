"""Reads the images of one split of a prepared directory.

A split that fits into memory is decoded once, into one array. A larger one is
mapped: its images are decoded when they are taken, at random, and the system
keeps in memory what it has room for. Both have `labels`, `keys` and `take`.

Every byte is checked: when a split is opened, against the SHA-256 of the
manifest; or, where that is left out, against the CRC of its record whenever
the record is taken.
"""

import concurrent.futures
import dataclasses
import functools
import hashlib
import math
import mmap
import os
from collections.abc import Sequence

import numpy as np

from pipeline.data import image, manifest, record, splits
from pipeline.storage import tfrecord_file

# Each holds a file open, of which a process may have 1024.
_MAPPED_SHARDS = 256
# Images that a thread decodes at a time.
_CHUNK = 1024

# Where a record lies, and in it the stored image; offsets in bytes.
_STORED = np.dtype(
    [
        ("shard", np.int32),
        ("start", np.int64),
        ("stop", np.int64),
        ("image_start", np.int64),
        ("image_stop", np.int64),
        ("raw", np.bool_),
        ("label", np.int32),
    ]
)


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """Holds the images of a split in memory, in the order of its shards.

    Attributes:
        images: uint8 [N, H, W, C].
        labels: int32 [N].
        keys: The N names.
    """

    images: np.ndarray
    labels: np.ndarray
    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Returns some of the images, uint8 [n, H, W, C]."""
        return self.images.take(indices, axis=0)


class MappedImages:
    """Reads images from shards on disk, in the order of the shards.

    Attributes:
        shape: (H, W, C).
        labels: int32 [N].
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        shards: Sequence[dict],
        shape: tuple[int, int, int],
        labels: int,
        *,
        verify: bool = True,
    ):
        """Finds the records of all shards.

        Args:
            directory: Directory of the shards.
            shards: Their rows of the manifest.
            shape: (H, W, C) of every image.
            labels: How many they may have; `manifest.stored_labels`.
            verify: Whether to compare each shard with its SHA-256, which reads
                all of it.

        Raises:
            ValueError: A shard is missing or not the one that was prepared.
        """
        self.shape = shape
        self._labels = labels
        self._paths = [os.path.join(directory, s["file"]) for s in shards]
        self._map = functools.lru_cache(_MAPPED_SHARDS)(_map)
        self._check_records = not verify
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            if verify:
                list(pool.map(_verify, self._paths, shards))
            found = list(pool.map(self._scan, range(len(shards)), shards))
        self._stored = np.concatenate(found)
        self.labels = self._stored["label"].copy()

    def __len__(self) -> int:
        return len(self.labels)

    @functools.cached_property
    def keys(self) -> tuple[str, ...]:
        """Reads the N names, which touches every record."""
        return tuple(
            record.decode(self._map(self._paths[shard])[start:stop]).key
            for shard, start, stop, *_ in self._stored.tolist()
        )

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Reads some of the images, uint8 [n, H, W, C].

        Raises:
            ValueError: A record is damaged, or its image has another shape.
        """
        images = np.empty((len(indices), *self.shape), np.uint8)
        size = math.prod(self.shape)
        flat = images.reshape(len(images), size)
        rows = self._stored[indices].tolist()
        for i, (shard, start, stop, first, last, raw, _) in enumerate(rows):
            data = self._map(self._paths[shard])
            try:
                if self._check_records:
                    footer = data[stop : stop + tfrecord_file.FOOTER]
                    tfrecord_file.checked(
                        bytes(data[start:stop]), bytes(footer)
                    )
                if raw:
                    flat[i] = np.frombuffer(data, np.uint8, size, first)
                else:
                    images[i] = _decoded(data[first:last], self.shape)
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"{self._paths[shard]} has a damaged record at byte "
                    f"{start - tfrecord_file.HEADER}: {error}"
                ) from error
        return images

    def _scan(self, number: int, shard: dict) -> np.ndarray:
        """Returns where the records of a shard lie, from their headers only."""
        path, rows, position = self._paths[number], [], 0
        try:
            data = self._map(path)
            while position < len(data):
                start = position + tfrecord_file.HEADER
                stop = start + tfrecord_file.length(bytes(data[position:start]))
                position = stop + tfrecord_file.FOOTER
                found = record.spans(data[start:stop])
                raw = "image/raw" in found
                stored = found["image/raw" if raw else "image/encoded"]
                label = bytes(data[start:stop][found["image/label"]])
                rows.append(
                    (
                        number,
                        start,
                        stop,
                        start + stored.start,
                        start + stored.stop,
                        raw,
                        record.number(label),
                    )
                )
        except KeyError as error:
            raise ValueError(
                f"Shard {path} must have records of pipeline.data.record. "
                f"Received: one without {error}"
            ) from error
        except (OSError, ValueError) as error:
            raise ValueError(f"Shard {path} cannot be read: {error}") from error
        stored = np.array(rows, _STORED)
        sizes = (stored["image_stop"] - stored["image_start"])[stored["raw"]]
        if len(rows) != shard["images"] or position != len(data):
            raise ValueError(
                f"Shard {path} must have the {shard['images']} images of the "
                f"manifest. Received: {len(rows)}"
            )
        if (sizes != np.prod(self.shape)).any():
            raise ValueError(
                f"Shard {path} must have images of the manifest's shape, "
                f"{self.shape}. Received: one of {sizes.max()} bytes"
            )
        wrong = stored["label"][~np.isin(stored["label"], range(self._labels))]
        if len(wrong):
            raise ValueError(
                f"Shard {path} must have labels from 0 to {self._labels - 1}, "
                f"those of the manifest. Received: {wrong[0]}"
            )
        return stored


Split = Images | MappedImages


def open_split(
    directory: str | os.PathLike,
    split: str,
    *,
    memory: float = float("inf"),
    verify: bool = True,
) -> Split:
    """Opens one split of a prepared directory.

    Args:
        directory: Directory with a manifest and the shards that it names.
        split: One of `splits.SPLITS`.
        memory: Bytes that its pixels may take; a larger split is mapped.
        verify: Whether to compare each shard with its SHA-256, which reads all
            of it.

    Raises:
        ValueError: The split has no images, a shard is missing or is not the
            one that was prepared, or a label has no name.
    """
    if split not in splits.SPLITS:
        raise ValueError(
            f"`split` must be one of {', '.join(splits.SPLITS)}. "
            f"Received: split={split!r}"
        )
    description = manifest.read(directory)
    count = description["counts"][split]
    if not count:
        raise ValueError(
            f"`split` must have images in {directory}. "
            f"Received: split={split!r}"
        )
    side, channels = description["size"], description["channels"]
    mapped = MappedImages(
        directory,
        [s for s in description["shards"] if s["split"] == split],
        (side, side, channels),
        manifest.stored_labels(description, split),
        verify=verify,
    )
    if count * side * side * channels > memory:
        return mapped
    return _in_memory(mapped)


def load(directory: str | os.PathLike, split: str) -> Images:
    """Reads one split of a prepared directory into memory.

    Raises:
        ValueError: The split has no images, a shard is missing or is not the
            one that was prepared, or a label has no name.
    """
    return open_split(directory, split)


def _in_memory(mapped: MappedImages) -> Images:
    images = np.empty((len(mapped), *mapped.shape), np.uint8)

    def fill(start: int) -> None:
        indices = np.arange(start, min(start + _CHUNK, len(images)))
        images[indices[0] : indices[-1] + 1] = mapped.take(indices)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(0, len(images), _CHUNK)))
    return Images(images, mapped.labels, mapped.keys)


def _map(path: str) -> memoryview:
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))


def _decoded(data: memoryview, shape: tuple[int, int, int]) -> np.ndarray:
    pixels = image.pixels(bytes(data))
    if pixels.shape not in (shape, shape[:2] + shape[2:] * (shape[2] > 1)):
        raise ValueError(f"an image of {pixels.shape}, not {shape}")
    return pixels.reshape(shape)


def _verify(path: str, shard: dict) -> None:
    """Raises an error unless a file is the one that the manifest describes."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"Shard {path} cannot be read: {error}") from error
    size = os.path.getsize(path)
    if size != shard["bytes"]:
        raise ValueError(
            f"Shard {path} must have the {shard['bytes']} bytes of the "
            f"manifest. Received: {size}"
        )
    if digest != shard["sha256"]:
        raise ValueError(
            f"Shard {path} must have the SHA-256 of the manifest, "
            f"{shard['sha256']}. Received: {digest}"
        )
