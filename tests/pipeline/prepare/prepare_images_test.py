import collections
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

from pipeline.data import splits
from pipeline.prepare import plan, prepare_images, shard
from pipeline.results.versions import VERSIONS
from pipeline.sources import digits, image_folder
from pipeline.sources.item import Found
from tests.support.preparation import (
    NO_FRACTIONS,
    config,
    contents,
    folder_config,
    records,
    write_folder,
)

THREADS = ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]
PROCESSES = [
    "--direct_num_workers=2",
    "--direct_running_mode=multi_processing",
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    output = tmp_path_factory.mktemp("digits") / "data"
    return output, prepare_images.prepare(config(), output)


@pytest.fixture(scope="module")
def found(prepared):
    return records(*prepared)


def digit_items():
    source = digits.Digits()
    return source, list(source.items("all"))


def test_every_digit_is_in_the_split_of_its_content(found):
    fractions = config().data.fractions
    source, items = digit_items()
    assert set(found) == {item.key for item in items}
    for item in items:
        split, label, _ = found[item.key]
        identity = splits.identity(source.load(item.location))
        assert split == splits.assign(identity, fractions, 0)
        assert label == item.label


def test_pixels_are_stored_exactly(found):
    source, items = digit_items()
    for item in items[:50]:
        np.testing.assert_array_equal(
            found[item.key][2][..., 0], source.load(item.location)
        )


def test_manifest_describes_the_shards(prepared, found):
    output, manifest = prepared
    assert json.loads((output / "manifest.json").read_text()) == manifest
    assert manifest["format_version"] == 2
    assert manifest["source"] == "digits"
    assert manifest["labels"] == list("0123456789")
    assert (manifest["size"], manifest["channels"]) == (8, 1)
    assert manifest["storage"] == "raw"
    assert manifest["rejected"] == 0
    assert list(manifest["counts"]) == list(splits.SPLITS)
    assert sum(manifest["counts"].values()) == manifest["listed"] == 1797
    # 1797 images in buckets of at most 500 on average: 4 of them.
    assert len([s for s in manifest["shards"] if s["split"] == "train"]) == 4
    for row in manifest["shards"]:
        data = (output / row["file"]).read_bytes()
        assert row["bytes"] == len(data)
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert row["file"].startswith(f"{row['split']}-000")
        assert row["file"].endswith(f"-{row['sha256'][:12]}.tfrecord")
    files = {row["file"] for row in manifest["shards"]}
    assert set(os.listdir(output)) == {
        *files,
        "manifest.json",
        "rejected.jsonl",
        "duplicates.jsonl",
    }


@pytest.mark.parametrize("split", splits.SPLITS)
def test_statistics_are_those_of_the_images(prepared, found, split):
    statistics = prepared[1]["statistics"][split]
    labels = [label for s, label, _ in found.values() if s == split]
    pixels = np.stack([p for s, _, p in found.values() if s == split]) / 255
    np.testing.assert_array_equal(
        statistics["classes"], np.bincount(labels, minlength=10)
    )
    np.testing.assert_allclose(statistics["channel_mean"], [pixels.mean()])
    np.testing.assert_allclose(statistics["channel_std"], [pixels.std()])
    assert statistics["sides"] == [len(labels)] + 9 * [0]


def test_shards_are_sorted_by_a_hash_of_the_key(prepared):
    output, manifest = prepared
    for row in manifest["shards"]:
        found = records(output, {**manifest, "shards": [row]})
        names = [splits.identity(key.encode()) for key in found]
        order = [splits.hash63(name, "order-0") for name in names]
        assert order == sorted(order)


class Shuffled(digits.Digits):
    """The digits, listed in another order and in several pieces."""

    def find(self):
        found = super().find()
        return Found(found.labels, tuple("abc"), found.images)

    def items(self, piece):
        items = list(super().items("all"))
        order = np.random.default_rng(0).permutation(len(items))
        for i in order["abc".index(piece) :: 3]:
            yield items[i]


@pytest.mark.parametrize(
    "beam_args", [[], THREADS, pytest.param(PROCESSES, marks=pytest.mark.slow)]
)
def test_same_bytes_from_any_runner_and_order(
    prepared, tmp_path, monkeypatch, beam_args
):
    if beam_args is not PROCESSES:  # Its workers cannot import this test.
        monkeypatch.setattr(digits, "Digits", Shuffled)
    prepare_images.prepare(config(), tmp_path / "data", beam_args)
    assert contents(tmp_path / "data") == contents(prepared[0])


def test_a_seed_gives_other_splits(prepared, tmp_path):
    manifest = prepare_images.prepare(config(seed=1), tmp_path / "data")
    assert manifest["counts"] != prepared[1]["counts"]


def test_adding_images_moves_none(tmp_path):
    write_folder(tmp_path / "in", 30)
    data = folder_config(tmp_path / "in", shard_images=20)
    before = records(
        tmp_path / "1", prepare_images.prepare(data, tmp_path / "1")
    )
    write_folder(tmp_path / "in", 40, classes=("ant", "fox"))
    after = records(
        tmp_path / "2", prepare_images.prepare(data, tmp_path / "2")
    )
    assert len(after) == 140
    for key, (split, _, pixels) in before.items():
        assert after[key][0] == split
        np.testing.assert_array_equal(after[key][2], pixels)


def test_one_more_image_changes_one_shard(tmp_path):
    write_folder(tmp_path / "in", 60)
    data = folder_config(tmp_path / "in", shard_images=20)
    before = prepare_images.prepare(data, tmp_path / "1")
    Image.new("RGB", (8, 8)).save(tmp_path / "in" / "cat" / "new.png")
    after = prepare_images.prepare(data, tmp_path / "2")
    old, new = (
        {row["file"] for row in manifest["shards"]}
        for manifest in (before, after)
    )
    assert len(old) > 8
    assert len(old - new) <= 1
    assert len(new - old) == 1


def test_a_published_test_split_stays(tmp_path):
    write_folder(tmp_path / "in" / "train", 40)
    write_folder(tmp_path / "in" / "test", 5)
    manifest = prepare_images.prepare(
        folder_config(tmp_path / "in"), tmp_path / "out"
    )
    assert manifest["counts"]["test"] == 10
    found = records(tmp_path / "out", manifest)
    for key, (split, _, _) in found.items():
        assert (split == "test") == key.startswith("test/")


def test_encoded_files_are_kept_as_they_are(tmp_path):
    write_folder(tmp_path / "in")
    data = folder_config(tmp_path / "in", channels=3, storage="encoded")
    manifest = prepare_images.prepare(data, tmp_path / "out")
    assert manifest["storage"] == "encoded"
    found = records(tmp_path / "out", manifest)
    assert len(found) == 40
    for key, (_, _, pixels) in found.items():
        expected = np.asarray(Image.open(tmp_path / "in" / key))
        np.testing.assert_array_equal(pixels, expected)
    stored = b"".join(contents(tmp_path / "out").values())
    assert (tmp_path / "in/cat/000.png").read_bytes() in stored


def test_a_directory_of_its_own_is_shared(tmp_path):
    shared = tmp_path / "shared" / "digits"
    first = prepare_images.prepare(
        config(directory=str(shared)), tmp_path / "a"
    )
    inodes = {path.name: path.stat().st_ino for path in shared.iterdir()}
    assert (
        prepare_images.prepare(config(directory=str(shared)), tmp_path / "b")
        == first
    )
    assert inodes == {p.name: p.stat().st_ino for p in shared.iterdir()}
    other = prepare_images.prepare(
        config(directory=str(shared), seed=1), tmp_path / "b"
    )
    assert other != first
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert (tmp_path / "b").resolve() == shared


def test_a_data_set_of_other_code_is_made_again(tmp_path, monkeypatch):
    data = config(directory=str(tmp_path / "shared"))
    first = prepare_images.prepare(data, tmp_path / "a")
    monkeypatch.setitem(VERSIONS, "prepare", VERSIONS["prepare"] + 1)
    assert prepare_images.made_from(data) != first["made_from"]
    second = prepare_images.prepare(data, tmp_path / "b")
    assert second["made_from"] == prepare_images.made_from(data)


def damaged(directory):
    """Writes images that cannot be used, and some that can."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8))
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
    manifest = prepare_images.prepare(data, tmp_path / "out")
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
    prepare_images.prepare(data, tmp_path / "out", THREADS)
    assert contents(tmp_path / "out") == first


def test_too_many_bad_images_leave_the_old_data(tmp_path):
    write_folder(tmp_path / "in")
    prepare_images.prepare(folder_config(tmp_path / "in"), tmp_path / "out")
    before = contents(tmp_path / "out")
    damaged(tmp_path / "in" / "cat")
    data = folder_config(tmp_path / "in", max_rejected=0.1)
    with pytest.raises(ValueError, match=r"max_rejected.*5 of 48.*cat/empty"):
        prepare_images.prepare(data, tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert sorted(os.listdir(tmp_path)) == ["in", "out"]


def test_an_error_in_the_middle_leaves_the_old_data(tmp_path, monkeypatch):
    prepare_images.prepare(config(), tmp_path / "out")
    before = contents(tmp_path / "out")
    load = digits.Digits.load

    def fail(self, location):
        if location == "1000":
            raise OSError("the disk is gone")
        return load(self, location)

    monkeypatch.setattr(digits.Digits, "load", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        prepare_images.prepare(config(), tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert os.listdir(tmp_path) == ["out"]


def test_an_image_that_changes_meanwhile_is_set_aside(tmp_path, monkeypatch):
    load, loaded = digits.Digits.load, collections.Counter()

    def change(self, location):
        loaded[location] += 1
        other = location == "1000" and loaded[location] == 2
        return load(self, location) ^ other

    monkeypatch.setattr(digits.Digits, "load", change)
    # With as many buckets as images the other image is in another one.
    manifest = prepare_images.prepare(config(shard_images=1), tmp_path / "out")
    row = json.loads((tmp_path / "out" / "rejected.jsonl").read_text())
    assert row["reason"] == "changed while it was being prepared"
    assert manifest["rejected"] == 1


KILLED = """
    import os, signal, sys
    import ml_collections
    from pipeline.prepare import prepare_images
    from pipeline.sources import digits

    loaded = []
    load = digits.Digits.load
    def load_and_kill(self, location):
        loaded.append(location)
        if len(loaded) == 1797 + 1000:
            os.kill(os.getpid(), signal.SIGKILL)
        return load(self, location)

    digits.Digits.load = load_and_kill
    data = eval(sys.argv[1])
    config = ml_collections.ConfigDict({"data": data})
    prepare_images.prepare(config, sys.argv[2])
"""


def test_a_kill_in_the_middle_leaves_the_old_data(tmp_path):
    prepare_images.prepare(config(), tmp_path / "out")
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
    prepare_images.prepare(config(), tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert os.listdir(tmp_path) == ["out"]


def test_a_runner_that_loses_a_bucket_is_found_out(tmp_path, monkeypatch):
    process = shard.WriteBucket.process

    def forget(self, element):
        return process(self, element) if element[0] else []

    monkeypatch.setattr(shard.WriteBucket, "process", forget)
    with pytest.raises(ValueError, match="1797 images were listed, but 1"):
        prepare_images.prepare(config(), tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_a_runner_that_repeats_a_chunk_is_found_out(tmp_path, monkeypatch):
    place = plan.place

    def twice(chunk, source, plan):
        yield from place(chunk, source, plan)
        yield from place(chunk, source, plan)

    monkeypatch.setattr(plan, "place", twice)
    with pytest.raises(ValueError, match="1797 images were listed, but 3594"):
        prepare_images.prepare(config(), tmp_path / "out")


def test_an_empty_split_is_an_error(tmp_path):
    write_folder(tmp_path / "in", 5)
    data = folder_config(
        tmp_path / "in", fractions=NO_FRACTIONS | {"validation": 1e-6}
    )
    with pytest.raises(ValueError, match="none in validation"):
        prepare_images.prepare(data, tmp_path / "out")


def test_one_class_in_train_is_an_error(tmp_path, monkeypatch):
    write_folder(tmp_path / "in", 5)
    items = image_folder.ImageFolder.items

    def part(self, piece):
        for item in items(self, piece):
            yield item._replace(split=("train", "test")[item.label])

    monkeypatch.setattr(image_folder.ImageFolder, "items", part)
    with pytest.raises(ValueError, match=r"two classes.*cat"):
        prepare_images.prepare(
            folder_config(tmp_path / "in", fractions=NO_FRACTIONS),
            tmp_path / "out",
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "dogs"}, "`data.source`"),
        ({"source_options": {"path": "x"}}, "do not fit source 'digits'"),
        ({"size": 0}, "`data.size`"),
        ({"channels": 4}, "`data.channels`"),
        ({"shard_images": 0}, "`data.shard_images`"),
        ({"max_rejected": 1.5}, "`data.max_rejected`"),
        ({"storage": "zip"}, "`data.storage`"),
        ({"duplicates": "merge"}, "`data.duplicates`"),
        ({"min_side": 0}, "`data.min_side`"),
        (
            {"fractions": NO_FRACTIONS | {"test": -0.1}},
            "`data.fractions.test`",
        ),
        ({"fractions": dict.fromkeys(NO_FRACTIONS, 0.4)}, "leave some"),
        ({"fractions": {"train": 0.5}}, "`config.data.fractions`"),
        ({"shards": 3}, "`config.data`"),
    ],
)
def test_bad_configurations(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        prepare_images.prepare(config(**changes), tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_workers_do_not_import_tensorflow():
    script = (
        "import sys, pipeline.prepare.prepare_images\n"
        "print('tensorflow' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert run.stdout == "False\n"
