"""Runs `score` as the command line does, and reads what it wrote.

Every format is read by others' code: tf.data, csv and pyarrow.
"""

import csv
import json
import os
import pathlib

import numpy as np
import pyarrow.parquet
import tensorflow as tf
from absl import flags as absl_flags

from pipeline.cli import score_verb, verbs
from pipeline.data import record
from pipeline.storage import tfrecord_file
from tests.support import tiny_bundle

COUNT = 40
IMAGES = tiny_bundle.images(COUNT)
LABELS = np.random.default_rng(0).integers(0, tiny_bundle.CLASSES, COUNT)
COSTS = np.cumsum(tiny_bundle.MADDS).tolist()


def key(i: int) -> str:
    return f'test/"class", {LABELS[i]}/{i:03}.jpg'


def raw(i: int) -> bytes:
    height, width, channels = IMAGES[i].shape
    return record.encode(
        record.Record(
            key(i), int(LABELS[i]), height, width, channels, IMAGES[i].tobytes()
        )
    )


def write_records(path, records) -> None:
    path.write_bytes(b"".join(map(tfrecord_file.frame, records)))


def example(**features) -> bytes:
    """Returns an Example with the features image/NAME, by TensorFlow."""
    feature = {}
    for name, value in features.items():
        kind = (
            {"bytes_list": tf.train.BytesList(value=[value])}
            if isinstance(value, bytes)
            else {"int64_list": tf.train.Int64List(value=[value])}
        )
        feature[f"image/{name}"] = tf.train.Feature(**kind)
    return tf.train.Example(
        features=tf.train.Features(feature=feature)
    ).SerializeToString()


def run(bundle, inputs, output, *arguments, beam_args=()):
    """Runs the verb as the command line does."""
    values = absl_flags.FlagValues()
    for name, flag in verbs.VERBS["score"].flags.items():
        flag.define(name, values)
    given = [f"--input={each}" for each in inputs]
    values(
        ["score", f"--bundle={bundle}", f"--output={output}"]
        + [*given, *arguments]
    )
    score_verb.run(values, [], list(beam_args))


def summary(output) -> dict:
    return json.loads(pathlib.Path(f"{output}-summary.json").read_text())


def rejected(output) -> dict[str, str]:
    lines = pathlib.Path(f"{output}-rejected.jsonl").read_text().splitlines()
    rows = list(map(json.loads, lines))
    assert rows == sorted(rows, key=lambda row: row["key"])
    return {row["key"]: row["reason"] for row in rows}


def read_tfrecord(files) -> dict:
    kinds = {
        "image/key": tf.io.FixedLenFeature([], tf.string),
        "image/label": tf.io.FixedLenFeature([], tf.int64, -1),
        "image/label_name": tf.io.FixedLenFeature([], tf.string, ""),
        "score/predicted": tf.io.FixedLenFeature([], tf.int64),
        "score/predicted_name": tf.io.FixedLenFeature([], tf.string),
        "score/confidence": tf.io.FixedLenFeature([], tf.float32),
        "score/exit": tf.io.FixedLenFeature([], tf.int64),
        "score/madds": tf.io.FixedLenFeature([], tf.int64),
        "score/probabilities": tf.io.FixedLenFeature([4], tf.float32),
    }
    rows = {}
    for data in tf.data.TFRecordDataset(files):
        row = tf.io.parse_single_example(data, kinds)
        row = {name.split("/")[1]: each.numpy() for name, each in row.items()}
        for name in ("label_name", "predicted_name"):
            row[name] = row[name].decode()
        rows[row.pop("key").decode()] = row
    return rows


def read_csv(files) -> dict:
    rows = {}
    for file in files:
        with open(file, encoding="utf-8", newline="") as opened:
            for row in csv.DictReader(opened):
                probabilities = row["probabilities"].split(" ")
                rows[row.pop("key")] = {
                    **row,
                    **{
                        name: int(row[name] or -1)
                        for name in ("label", "predicted", "exit", "madds")
                    },
                    "probabilities": np.array(probabilities, np.float32),
                }
    return rows


def read_parquet(files) -> dict:
    rows = {}
    for file in files:
        for row in pyarrow.parquet.read_table(file).to_pylist():
            row["label"] = -1 if row["label"] is None else row["label"]
            row["probabilities"] = np.array(row["probabilities"], np.float32)
            rows[row.pop("key")] = row
    return rows


READERS = {
    "tfrecord": read_tfrecord,
    "csv": read_csv,
    "parquet": read_parquet,
}


def read(output, form="tfrecord") -> dict:
    path = pathlib.Path(output)
    files = sorted(map(str, path.parent.glob(f"{path.name}-*-of-*.{form}")))
    names = [os.path.basename(file) for file in files]
    assert names == summary(output)["files"]
    rows = READERS[form](files)
    assert len(rows) == summary(output)["images"]
    return rows


def assert_row(row, result, label):
    assert row["predicted"] == result.index
    assert row["exit"] == result.exit
    assert row["madds"] == COSTS[result.exit]
    assert row["label"] == label
    names = "abcd"
    assert row["predicted_name"] == names[result.index]
    assert (row["label_name"] or "") == (names[label] if label >= 0 else "")
    confidence = result.probabilities.astype(np.float32)[result.index]
    assert np.float32(row["confidence"]) == confidence
    np.testing.assert_array_equal(
        row["probabilities"], result.probabilities.astype(np.float32)
    )
