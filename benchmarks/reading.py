"""Measures how fast training batches are read, beside two tf.data pipelines.

    python benchmarks/reading.py FILE.json [--images=N --epochs=N --rounds=N]

Raw 32x32x3 records in shards; each contestant shuffles them, pads, crops and
mirrors each image at random, and gives batches of 128 in float32, [0, 1]. Each
runs in a process of its own, one after the other, for so many rounds; the
first epoch of a process is not counted.

| contestant | what it does |
|---|---|
| memory | `pipeline.data.batches`, the split decoded once |
| mapped | `pipeline.data.batches`, the split larger than the memory allowed |
| tf.data elements | decoded once, shuffled, changed one by one, batched |
| tf.data batches | decoded once, shuffled, batched, changed all at once |
"""

import argparse
import hashlib
import json
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import machine
import numpy as np

from pipeline.data import (
    augmentation,
    batches,
    dataset,
    manifest,
    record,
    splits,
)
from pipeline.processes.memory import keep_freed_memory
from pipeline.storage import publishing, tfrecord_file

_SIDE, _CHANNELS, _BATCH, _PADDING = 32, 3, 128, 4
_SHARD_IMAGES = 5000
_SHUFFLE = 10_000  # Images in the buffer of tf.data.


def write(directory: pathlib.Path, images: int) -> None:
    """Writes a prepared directory of random images."""
    generator, shards = np.random.default_rng(0), []
    for start in range(0, images, _SHARD_IMAGES):
        chosen = range(start, min(start + _SHARD_IMAGES, images))
        data = b"".join(
            tfrecord_file.frame(
                record.encode(
                    record.Record(
                        f"class/{i:07}.png",
                        i % 10,
                        _SIDE,
                        _SIDE,
                        _CHANNELS,
                        generator.bytes(_SIDE * _SIDE * _CHANNELS),
                    )
                )
            )
            for i in chosen
        )
        shard = {
            "file": f"train-{start // _SHARD_IMAGES:05}.tfrecord",
            "split": "train",
            "images": len(chosen),
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        (directory / shard["file"]).write_bytes(data)
        shards.append(shard)
    description = {
        "format_version": manifest.FORMAT_VERSION,
        "labels": [str(label) for label in range(10)],
        "size": _SIDE,
        "channels": _CHANNELS,
        "counts": dict.fromkeys(splits.SPLITS, 0) | {"train": images},
        "rejected": 0,
        "shards": shards,
    }
    publishing.write_json(directory / manifest.FILE, description)


def _ours(directory: pathlib.Path, memory: float) -> Callable[[int], Iterator]:
    images = dataset.open_split(directory, "train", memory=memory)
    order = batches.Order(len(images), _BATCH, seed=0)
    change = augmentation.get("crop_flip", size=_SIDE, padding=_PADDING)
    return lambda epoch: batches.shuffled(
        images, order, epoch=epoch, augmentation=change
    )


def _memory(directory: pathlib.Path) -> Callable[[int], Iterator]:
    return _ours(directory, float("inf"))


def _mapped(directory: pathlib.Path) -> Callable[[int], Iterator]:
    return _ours(directory, 0)


def _tf_elements(directory: pathlib.Path) -> Callable[[int], Iterator]:
    import tensorflow as tf

    def change(pixels, label):
        edge = [_PADDING, _PADDING]
        pixels = tf.pad(pixels, [edge, edge, [0, 0]])
        pixels = tf.image.random_crop(pixels, [_SIDE, _SIDE, _CHANNELS])
        pixels = tf.image.random_flip_left_right(pixels)
        return tf.cast(pixels, tf.float32) / 255.0, label

    return _epochs(
        _decoded_once(tf, directory)
        .shuffle(_SHUFFLE)
        .map(change, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(_BATCH, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def _tf_batches(directory: pathlib.Path) -> Callable[[int], Iterator]:
    import tensorflow as tf

    def change(pixels, labels):
        edge = [_PADDING, _PADDING]
        pixels = tf.pad(pixels, [[0, 0], edge, edge, [0, 0]])
        starts = tf.random.uniform(
            [_BATCH, 2], maxval=2 * _PADDING + 1, dtype=tf.int32
        )
        index = starts[:, :, None] + tf.range(_SIDE)
        mirrored = tf.random.uniform([_BATCH, 1]) < 0.5
        columns = tf.where(mirrored, index[:, 1, ::-1], index[:, 1])
        pixels = tf.gather(pixels, index[:, 0], axis=1, batch_dims=1)
        pixels = tf.gather(pixels, columns, axis=2, batch_dims=1)
        return tf.cast(pixels, tf.float32) / 255.0, labels

    return _epochs(
        _decoded_once(tf, directory)
        .shuffle(_SHUFFLE)
        .batch(_BATCH, drop_remainder=True)
        .map(change, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def _decoded_once(tf, directory: pathlib.Path):
    """Returns the images as elements of a data set, from memory."""
    features = {
        "image/raw": tf.io.FixedLenFeature([], tf.string),
        "image/label": tf.io.FixedLenFeature([], tf.int64),
    }

    def decode(records):
        found = tf.io.parse_example(records, features)
        pixels = tf.io.decode_raw(found["image/raw"], tf.uint8)
        pixels = tf.reshape(pixels, [-1, _SIDE, _SIDE, _CHANNELS])
        return pixels, tf.cast(found["image/label"], tf.int32)

    files = sorted(map(str, directory.glob("*.tfrecord")))
    # In batches: five times as fast as one by one.
    return (
        tf.data.TFRecordDataset(files).batch(1024).map(decode).unbatch().cache()
    )


def _epochs(data) -> Callable[[int], Iterator]:
    return lambda epoch: data.as_numpy_iterator()


_CONTESTANTS = {
    "memory": _memory,
    "mapped": _mapped,
    "tf.data elements": _tf_elements,
    "tf.data batches": _tf_batches,
}


def measure(name: str, directory: pathlib.Path, epochs: int) -> dict:
    """Runs one contestant in this process."""
    keep_freed_memory()
    begun = time.process_time()
    read = _CONTESTANTS[name](directory)
    opening = time.process_time() - begun
    images, shape, seconds = 0, None, []
    for epoch in range(epochs + 1):
        if epoch == 1:
            wall, cpu = time.perf_counter(), time.process_time()
        last = time.perf_counter()
        for pixels, labels in read(epoch):
            now = time.perf_counter()
            shape = pixels.shape
            if epoch:
                images += len(labels)
                seconds.append(now - last)
            last = now
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if shape != (_BATCH, _SIDE, _SIDE, _CHANNELS):
        raise ValueError(f"batches must be whole. Received: {shape}")
    percentiles = np.percentile(seconds, [50, 90, 99]) * 1e3
    return {
        "images_per_second": images / wall,
        "cpu_us_per_image": cpu / images * 1e6,
        "opening_cpu_seconds": opening,
        "batch_ms": dict(
            zip(("p50", "p90", "p99"), percentiles.tolist(), strict=True)
        ),
        # At the end, without pages of files, which the system takes back.
        "own_mib": _own_kib() / 1024,
    }


def _own_kib() -> int:
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0])


def main() -> None:
    """Runs every contestant in turn, and writes the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("output")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contestant", choices=_CONTESTANTS)
    options = parser.parse_args()
    if options.contestant:
        data = pathlib.Path(options.output)
        print(json.dumps(measure(options.contestant, data, options.epochs)))
        return
    runs = {name: [] for name in _CONTESTANTS}
    with tempfile.TemporaryDirectory() as directory:
        write(pathlib.Path(directory), options.images)
        for _ in range(options.rounds):
            for name, found in runs.items():
                command = [sys.executable, __file__, directory]
                command += [
                    f"--contestant={name}",
                    f"--epochs={options.epochs}",
                ]
                found.append(machine.child(command))
    summary = {name: _summary(found) for name, found in runs.items()}
    elements = summary["tf.data elements"]
    publishing.write_json(
        options.output,
        {
            "command": machine.command_line(),
            "images": options.images,
            "batch_size": _BATCH,
            "median": summary,
            "times_tf_data_elements": {
                name: {
                    "images_per_second": row["images_per_second"]
                    / elements["images_per_second"],
                    "images_per_cpu_second": elements["cpu_us_per_image"]
                    / row["cpu_us_per_image"],
                }
                for name, row in summary.items()
            },
            "runs": runs,
            "machine": machine.machine(),
            "versions": machine.versions(),
        },
    )
    for name, row in summary.items():
        print(f"{name:17}", *(f"{k} {v:.5g}" for k, v in row.items()))


def _summary(runs: list[dict]) -> dict[str, float]:
    """Returns medians over the rounds."""
    flat = [
        {
            "images_per_second": run["images_per_second"],
            "cpu_us_per_image": run["cpu_us_per_image"],
            **{f"{p}_ms": value for p, value in run["batch_ms"].items()},
            "peak_mib": run["process"]["peak_mib"],
            "own_mib": run["own_mib"],
        }
        for run in runs
    ]
    return {key: statistics.median(row[key] for row in flat) for key in flat[0]}


if __name__ == "__main__":
    main()
