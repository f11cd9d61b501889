"""What `score` makes of directories of files, as people have them."""

import csv
import gzip
import os

import numpy as np
import pytest
from PIL import Image

from pipeline.scoring import score_images
from tests.support import tiny_bundle
from tests.support.score_outputs import (
    assert_row,
    example,
    key,
    raw,
    read,
    rejected,
    run,
    summary,
    write_records,
)
from tflite.runtime.harness import Harness


def save(root, name, number=0):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    pixels = tiny_bundle.images(1, seed=number)[0]
    Image.fromarray(pixels).save(root / name, lossless=True)
    return pixels


def test_class_directories_are_labels(directory, tmp_path, capsys):
    names = ["a/1.png", "test/b/deep/1.png", "c/b/1.png", "other/1.png"]
    pixels = {
        name: save(tmp_path / "in", name, number)
        for number, name in enumerate(names)
    }
    run(directory, [tmp_path / "in"], tmp_path / "s")
    rows = read(tmp_path / "s")
    labels = dict(zip(names, (0, 1, 2, -1), strict=True))
    assert set(rows) == set(names)
    with Harness(str(directory)) as harness:
        right = 0
        for name in names:
            result = harness.classify(pixels[name])
            assert_row(rows[name], result, labels[name])
            right += result.index == labels[name]
    found = summary(tmp_path / "s")
    assert found["labelled"] == 3
    assert found["accuracy"] == pytest.approx(right / 3)
    assert "of 3 with a label" in capsys.readouterr().out
    run(directory, [tmp_path / "in"], tmp_path / "n", "--nofolder_labels")
    assert summary(tmp_path / "n")["labelled"] == 0


def test_every_other_file_is_named_and_counted(directory, tmp_path, capsys):
    root = tmp_path / "in [2]"
    kinds = ("png", "webp", "bmp", "tiff", "gif", "jpe", "jfif")
    for number, suffix in enumerate(kinds):
        save(root, f"{number}.{suffix}", number)
    save(root, "cat.png")
    os.rename(root / "cat.png", root / "no extension")
    (root / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (root / "b.jpg").write_bytes(b"\0\0\0\x18ftypavif" + bytes(40))
    (root / "c.tfrecord.gz").write_bytes(gzip.compress(b"records"))
    (root / "d.tfrecord").write_bytes(gzip.compress(b"records"))
    (root / "e.txt").write_text("a note, and some more of it")
    os.mkfifo(root / "f.webp")
    os.mkfifo(root / "pipe")
    os.symlink("nowhere", root / "g.gif")
    os.close(os.open(os.fsencode(root) + b"/\xe9.txt", os.O_CREAT))
    for name in (".DS_Store", "._1.png", "Thumbs.db", "x/.git/1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"not meant")
    write_records(
        root / "h.tfrecord",
        [
            raw(0),
            example(key=b"far", label=4, raw=bytes(192)),
            example(key=b"under", label=-2, raw=bytes(192)),
        ],
    )
    run(directory, [root], tmp_path / "s", "--format=csv")
    rows = read(tmp_path / "s", "csv")
    images = {f"{number}.{suffix}" for number, suffix in enumerate(kinds)}
    assert set(rows) == images | {"no extension", key(0)}
    reasons = rejected(tmp_path / "s")
    for name, reason in {
        "a.heic": "convert",
        "b.jpg": "HEIC or AVIF",
        "c.tfrecord.gz": "unpack",
        "d.tfrecord": "gzip",
        "e.txt@0": "not a TFRecord",
        "f.webp": "cannot be read",
        "pipe@0": "cannot be read",
        "g.gif": "No such file",
        "far": "unknown class 4",
        "under": "unknown class -2",
    }.items():
        assert reason in reasons.pop(name)
    assert not reasons
    found = summary(tmp_path / "s")
    assert (found["skipped"], found["rejected"]) == (4, 10)
    assert "4 hidden or system files skipped" in capsys.readouterr().out


def test_a_class_has_a_column_of_csv_if_wanted(directory, tmp_path):
    for name in ("a/1.png", "a/=2\n.png"):
        save(tmp_path / "in", name)
    arguments = ["--format=csv", "--probability_columns", "--num_shards=1"]
    run(directory, [tmp_path / "in"], tmp_path / "s", *arguments)
    [path] = tmp_path.glob("s-*.csv")
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] != []
    assert {row["key"] for row in rows} == {"a/1.png", "a/=2\n.png"}
    for row in rows:
        each = np.array([row[f"p_{name}"] for name in "abcd"], np.float32)
        assert each.argmax() == int(row["predicted"])
        assert each.max() == np.float32(row["confidence"])
        assert row["predicted_name"] == "abcd"[each.argmax()]
        assert "probabilities" not in row
    with pytest.raises(ValueError, match="`probability_columns`"):
        score_images.Job("b", ("i",), "o", probability_columns=True)


def test_keys_are_relative_to_what_inputs_have_in_common(directory, tmp_path):
    for name in ("in/x/1.png", "in/y/1.png", "in/z/2.png"):
        save(tmp_path, name)
    inputs = [tmp_path / "in" / "x", tmp_path / "in" / "[yz]" / "1.png"]
    run(directory, inputs, tmp_path / "s")
    assert set(read(tmp_path / "s")) == {"x/1.png", "y/1.png"}
