"""Prepared images in memory, and the batches that training and testing read.

A split is read into one uint8 array, checked against the manifest. That is
faster than decoding records in every epoch, and needs 150 MB for the 50,000
images of CIFAR-10.
"""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from pipeline import augmentation, manifest, splits

_FEATURES = {
    "image/raw": tf.io.FixedLenFeature([], tf.string),
    "image/label": tf.io.FixedLenFeature([], tf.int64),
    "image/key": tf.io.FixedLenFeature([], tf.string),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """The images of one split, in the order of their shards.

    Attributes:
        images: uint8 [N, H, W, C].
        labels: int32 [N].
        keys: The N names.
    """

    images: np.ndarray
    labels: np.ndarray
    keys: tuple[str, ...]


def load(directory: str | os.PathLike, split: str) -> Images:
    """Reads one split of a prepared directory.

    Raises:
        ValueError: The split has no images, or a shard is missing or is not
            the one that was prepared.
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
    shards = [s for s in description["shards"] if s["split"] == split]
    for shard in shards:
        _verify(pathlib.Path(directory, shard["file"]), shard)
    files = [os.fspath(pathlib.Path(directory, s["file"])) for s in shards]

    side, channels = description["size"], description["channels"]
    images = np.empty((count, side, side, channels), np.uint8)
    labels, keys = np.empty(count, np.int32), []
    for records in tf.data.TFRecordDataset(files).batch(1024):
        batch = tf.io.parse_example(records, _FEATURES)
        pixels = tf.io.decode_raw(batch["image/raw"], tf.uint8)
        part = slice(len(keys), len(keys) + len(pixels))
        images[part] = tf.reshape(pixels, [-1, side, side, channels])
        labels[part] = batch["image/label"]
        keys += [key.decode() for key in batch["image/key"].numpy()]
    return Images(images, labels, tuple(keys))


def batches(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    augmentation: augmentation.Augmentation,
) -> tf.data.Dataset:
    """Returns one epoch of training, shuffled and augmented.

    A batch is a function of the seed, the epoch and its position, whatever
    the number of threads; an epoch can be repeated alone. The images that are
    left over after the last full batch change with every epoch.

    Args:
        images: uint8 [N, H, W, C].
        labels: Integers [N].
        batch_size: Images per batch.
        seed: Of the whole training.
        epoch: Number of the epoch.
        augmentation: From `augmentation.get`.

    Returns:
        A dataset of (float32 [batch_size, size, size, C] in [0, 1],
        int32 [batch_size]).

    Raises:
        ValueError: There are fewer images than `batch_size`.
    """
    if not 1 <= batch_size <= len(images):
        raise ValueError(
            f"`batch_size` must be between 1 and the {len(images)} images. "
            f"Received: batch_size={batch_size}"
        )
    count = len(images) // batch_size
    order = np.random.default_rng([seed, epoch]).permutation(len(images))
    order = order[: count * batch_size].reshape(count, batch_size)
    labels = np.asarray(labels, np.int32)

    def draw() -> Iterator[tuple]:
        for position, chosen in enumerate(order):
            yield position, images[chosen], labels[chosen]

    def change(position: tf.Tensor, drawn: tf.Tensor, labels: tf.Tensor):
        key = tf.random.fold_in(tf.constant([seed, epoch]), position)
        return _scale(augmentation(drawn, key)), labels

    signature = (
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([batch_size, *images.shape[1:]], tf.uint8),
        tf.TensorSpec([batch_size], tf.int32),
    )
    return (
        _generated(draw, signature, count)
        .map(change, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def evaluation_batches(
    images: np.ndarray, *, batch_size: int, size: int
) -> tf.data.Dataset:
    """Returns all images in their order, cropped at the centre.

    Args:
        images: uint8 [N, H, W, C].
        batch_size: Images per batch; the last one may have fewer.
        size: Height and width of the model's input.

    Returns:
        A dataset of float32 [B, size, size, C] in [0, 1].
    """
    images = augmentation.center_crop(images, size)
    starts = range(0, len(images), batch_size)

    def draw() -> Iterator[np.ndarray]:
        for start in starts:
            yield images[start : start + batch_size]

    signature = tf.TensorSpec([None, *images.shape[1:]], tf.uint8)
    return (
        _generated(draw, signature, len(starts))
        .map(_scale)
        .prefetch(tf.data.AUTOTUNE)
    )


def _generated(
    draw: Callable[[], Iterator], signature: object, count: int
) -> tf.data.Dataset:
    """Returns the `count` elements of a generator as a dataset.

    A tensor of all images, captured by a function of the dataset, would stay
    in memory after the dataset has gone: a copy for every epoch.
    """
    return tf.data.Dataset.from_generator(
        draw, output_signature=signature
    ).apply(tf.data.experimental.assert_cardinality(count))


def _scale(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / 255.0


def _verify(path: pathlib.Path, shard: dict) -> None:
    """Raises an error unless the file is the one in the manifest."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"Shard {path} cannot be read: {error}") from error
    size = path.stat().st_size
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
