import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import textwrap

import ml_collections
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipeline import image, prepare, splits
from pipeline.sources import digits, image_folder, listing

RNG = np.random.default_rng(0)
THREADS = ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]


def config(source="digits", **changes):
    data = {
        "source": source,
        "size": 8,
        "channels": 1,
        "fractions": {"validation": 0.1, "calibration": 0.1, "test": 0.2},
        "shard_images": 500,
        **changes,
    }
    return ml_collections.ConfigDict({"data": data})


def contents(directory):
    return {
        path.name: path.read_bytes() for path in sorted(directory.iterdir())
    }


def records(directory, manifest):
    """Returns {key: (split, label, pixels)} as TensorFlow reads them."""
    features = {
        name: tf.io.FixedLenFeature([], kind)
        for name, kind in {
            "image/raw": tf.string,
            "image/key": tf.string,
            "image/label": tf.int64,
            "image/height": tf.int64,
            "image/width": tf.int64,
            "image/channels": tf.int64,
        }.items()
    }
    found = {}
    for shard in manifest["shards"]:
        path = str(directory / shard["file"])
        count = 0
        for example in tf.data.TFRecordDataset(path):
            row = tf.io.parse_single_example(example, features)
            shape = [
                int(row[f"image/{n}"]) for n in ("height", "width", "channels")
            ]
            pixels = np.frombuffer(row["image/raw"].numpy(), np.uint8)
            key = row["image/key"].numpy().decode()
            found[key] = (
                shard["split"],
                int(row["image/label"]),
                pixels.reshape(shape),
            )
            count += 1
        assert count == shard["images"]
    return found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    output = tmp_path_factory.mktemp("digits") / "data"
    return output, prepare.prepare(config(), output)


@pytest.fixture(scope="module")
def found(prepared):
    return records(*prepared)


def write_folder(root, count=20, classes=("cat", "dog")):
    for name in classes:
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = RNG.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index:03d}.png")


def folder_config(root, **changes):
    return config("image_folder", source_options={"path": str(root)}, **changes)


def test_every_digit_is_in_the_split_of_its_key(found):
    fractions = config().data.fractions
    items = digits.find().items
    assert set(found) == {item.key for item in items}
    for item in items:
        split, label, _ = found[item.key]
        assert split == splits.assign(item.key, fractions, 0)
        assert label == item.label


def test_pixels_are_stored_exactly(found):
    for item in digits.find().items[:50]:
        np.testing.assert_array_equal(
            found[item.key][2], image.fit(digits.load(item.location), 8, 1)
        )


def test_manifest_describes_the_shards(prepared, found):
    output, manifest = prepared
    assert json.loads((output / "manifest.json").read_text()) == manifest
    assert manifest["format_version"] == 1
    assert manifest["source"] == "digits"
    assert manifest["labels"] == list("0123456789")
    assert (manifest["size"], manifest["channels"]) == (8, 1)
    assert manifest["rejected"] == 0
    assert list(manifest["counts"]) == list(splits.SPLITS)
    assert sum(manifest["counts"].values()) == 1797
    assert len([s for s in manifest["shards"] if s["split"] == "train"]) == 3
    for shard in manifest["shards"]:
        data = (output / shard["file"]).read_bytes()
        assert shard["bytes"] == len(data)
        assert shard["sha256"] == hashlib.sha256(data).hexdigest()
    files = {shard["file"] for shard in manifest["shards"]}
    assert set(os.listdir(output)) == {
        *files,
        "manifest.json",
        "rejected.jsonl",
    }
    train = np.stack([p for s, _, p in found.values() if s == "train"])
    np.testing.assert_allclose(
        manifest["channel_mean"]["train"], [train.mean() / 255]
    )


@pytest.mark.parametrize("beam_args", [[], THREADS])
def test_same_bytes_from_any_runner_and_order(
    prepared, tmp_path, monkeypatch, beam_args
):
    found = digits.find()
    shuffled = [found.items[i] for i in RNG.permutation(len(found.items))]
    monkeypatch.setattr(
        digits,
        "find",
        lambda: listing.Listing(found.labels, tuple(shuffled)),
    )
    prepare.prepare(config(), tmp_path / "data", beam_args)
    assert contents(tmp_path / "data") == contents(prepared[0])


def test_a_seed_gives_other_splits(prepared, tmp_path):
    manifest = prepare.prepare(config(seed=1), tmp_path / "data")
    assert manifest["counts"] != prepared[1]["counts"]


def test_adding_images_moves_none(tmp_path):
    write_folder(tmp_path / "in", 30)
    data = folder_config(tmp_path / "in", shard_images=20)
    before = records(tmp_path / "1", prepare.prepare(data, tmp_path / "1"))
    write_folder(tmp_path / "in", 40, classes=("ant", "fox"))
    after = records(tmp_path / "2", prepare.prepare(data, tmp_path / "2"))
    assert len(after) == 140
    for key, (split, _, pixels) in before.items():
        assert after[key][0] == split
        np.testing.assert_array_equal(after[key][2], pixels)


def test_a_published_test_split_stays(tmp_path):
    write_folder(tmp_path / "in" / "train", 40)
    write_folder(tmp_path / "in" / "test", 5)
    manifest = prepare.prepare(folder_config(tmp_path / "in"), tmp_path / "out")
    assert manifest["counts"]["test"] == 10
    found = records(tmp_path / "out", manifest)
    for key, (split, _, _) in found.items():
        assert (split == "test") == key.startswith("test/")


def damaged(directory):
    """Writes images that cannot be used, and some that can."""
    noise = Image.fromarray(RNG.integers(0, 256, (32, 32, 3), np.uint8))
    file = io.BytesIO()
    noise.save(file, "JPEG")
    jpeg = file.getvalue()
    (directory / "truncated.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (directory / "text.jpg").write_text("not an image")
    (directory / "empty.png").touch()
    flipped = bytearray(jpeg)
    flipped[20:40] = bytes(byte ^ 0xFF for byte in flipped[20:40])
    (directory / "flipped.jpg").write_bytes(flipped)
    (directory / "notes.txt").write_text("a note")
    noise.convert("L").save(directory / "grey.jpg")
    noise.convert("CMYK").save(directory / "cmyk.JPG")
    noise.convert("RGBA").save(directory / "alpha.png")
    return {
        "truncated.jpg",
        "text.jpg",
        "empty.png",
        "flipped.jpg",
        "notes.txt",
    }


def test_bad_images_are_set_aside_and_counted(tmp_path):
    write_folder(tmp_path / "in")
    bad = {f"cat/{name}" for name in damaged(tmp_path / "in" / "cat")}
    data = folder_config(tmp_path / "in", channels=3, max_rejected=0.2)
    manifest = prepare.prepare(data, tmp_path / "out")
    lines = (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["key"] for row in rows] == sorted(bad)
    assert all(row["reason"] and "0x" not in row["reason"] for row in rows)
    assert manifest["rejected"] == len(bad)
    found = records(tmp_path / "out", manifest)
    assert len(found) == sum(manifest["counts"].values()) == 43
    assert {"cat/grey.jpg", "cat/cmyk.JPG", "cat/alpha.png"} <= set(found)
    assert not bad & set(found)
    first = contents(tmp_path / "out")
    prepare.prepare(data, tmp_path / "out", THREADS)
    assert contents(tmp_path / "out") == first


def test_too_many_bad_images_leave_the_old_data(tmp_path):
    write_folder(tmp_path / "in")
    prepare.prepare(folder_config(tmp_path / "in"), tmp_path / "out")
    before = contents(tmp_path / "out")
    damaged(tmp_path / "in" / "cat")
    data = folder_config(tmp_path / "in", max_rejected=0.1)
    with pytest.raises(ValueError, match=r"max_rejected.*5 of 48.*cat/empty"):
        prepare.prepare(data, tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert sorted(os.listdir(tmp_path)) == ["in", "out"]


def test_an_error_in_the_middle_leaves_the_old_data(tmp_path, monkeypatch):
    prepare.prepare(config(), tmp_path / "out")
    before = contents(tmp_path / "out")
    load = digits.load

    def fail(location):
        if location == "1000":
            raise OSError("the disk is gone")
        return load(location)

    monkeypatch.setattr(digits, "load", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        prepare.prepare(config(), tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert os.listdir(tmp_path) == ["out"]


KILLED = """
    import os, signal, sys
    import ml_collections
    from pipeline import prepare
    from pipeline.sources import digits

    loaded = []
    load = digits.load
    def load_and_kill(location):
        loaded.append(location)
        if len(loaded) == 1000:
            os.kill(os.getpid(), signal.SIGKILL)
        return load(location)

    digits.load = load_and_kill
    data = eval(sys.argv[1])
    prepare.prepare(ml_collections.ConfigDict({"data": data}), sys.argv[2])
"""


def test_a_kill_in_the_middle_leaves_the_old_data(tmp_path):
    prepare.prepare(config(), tmp_path / "out")
    before = contents(tmp_path / "out")
    script = textwrap.dedent(KILLED)
    data = repr(config(seed=1).data.to_dict())
    run = subprocess.run(
        [sys.executable, "-c", script, data, tmp_path / "out"],
        capture_output=True,
    )
    assert run.returncode == -signal.SIGKILL
    assert contents(tmp_path / "out") == before
    assert len(os.listdir(tmp_path)) == 2
    prepare.prepare(config(), tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert os.listdir(tmp_path) == ["out"]


def test_a_runner_that_loses_images_is_found_out(tmp_path, monkeypatch):
    def forget(self, element):
        return []

    monkeypatch.setattr(prepare.shard.WriteShard, "process", forget)
    with pytest.raises(RuntimeError, match="1797 images were listed, but 0"):
        prepare.prepare(config(), tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_an_empty_split_is_an_error(tmp_path):
    write_folder(tmp_path / "in", 5)
    data = folder_config(tmp_path / "in", fractions={"validation": 1e-6})
    with pytest.raises(ValueError, match="none in validation"):
        prepare.prepare(data, tmp_path / "out")


def test_one_class_in_train_is_an_error(tmp_path, monkeypatch):
    write_folder(tmp_path / "in", 5)
    found = image_folder.find(str(tmp_path / "in"))
    items = [
        listing.Item(i.key, i.label, i.location, ("train", "test")[i.label])
        for i in found.items
    ]
    monkeypatch.setattr(
        image_folder,
        "find",
        lambda path: listing.Listing(found.labels, tuple(items)),
    )
    with pytest.raises(ValueError, match=r"two classes.*cat"):
        prepare.prepare(
            folder_config(tmp_path / "in", fractions={}), tmp_path / "out"
        )


def test_keys_must_differ(tmp_path, monkeypatch):
    item = digits.find().items[0]
    monkeypatch.setattr(
        digits, "find", lambda: listing.Listing(("0", "1"), (item, item))
    )
    with pytest.raises(ValueError, match=f"'{item.key}' 2 times"):
        prepare.prepare(config(), tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "dogs"}, "`source` must be one of"),
        ({"source_options": {"path": "x"}}, "do not fit source 'digits'"),
        ({"size": 0}, "`data.size` must"),
        ({"channels": 4}, "`data.channels` must"),
        ({"shard_images": 0}, "`data.shard_images` must"),
        ({"max_rejected": 1.5}, "`data.max_rejected` must"),
        ({"fractions": {"test": -0.1}}, "`data.fractions` must"),
        ({"fractions": {"test": 0.5, "validation": 0.5}}, "leave some"),
        ({"fractions": {"train": 0.5}}, "`data.fractions` must"),
        ({"shards": 3}, "`config.data` must hold source, size"),
    ],
)
def test_bad_configurations(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        prepare.prepare(config(**changes), tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_workers_do_not_import_tensorflow():
    script = "import sys, pipeline.prepare; print('tensorflow' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert run.stdout == "False\n"
