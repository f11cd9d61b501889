import dataclasses
import gzip
import pickle
import random
import threading

import numpy as np
import pytest

from pipeline.data import foreign_records, image, record
from pipeline.sources import file_names, tfrecord
from pipeline.storage import beam_files, tfrecord_file
from tests.support.tfds_records import (
    TFDS,
    accepted,
    example,
    images,
    listed,
    rejected,
    write,
)


def test_a_data_set_as_tfds_writes_it(tmp_path):
    write(tmp_path / "x-train.tfrecord-00000-of-00002", images(4))
    write(tmp_path / "x-train.tfrecord-00001-of-00002", images(3, start=4))
    write(tmp_path / "x-test.tfrecord-00000-of-00001", images(2, start=7))
    (tmp_path / "label.labels.txt").write_text("cat\ndog\nemu\n")
    (tmp_path / "dataset_info.json").write_text("{}")
    source = tfrecord.TFRecord(str(tmp_path / "x-*.tfrecord-*"), **TFDS)
    found = source.find()
    assert found.labels == ("cat", "dog", "emu")
    assert found.images == 9
    assert found.splits == ("test",)
    assert len(found.pieces) == 3
    assert not rejected(source)
    items = accepted(pickle.loads(pickle.dumps(source)))
    assert len(items) == 9
    for key, item in items.items():
        number = int(source.load(item.location).split()[1])
        assert item.label == number % 3
        assert item.split == ("test" if number >= 7 else None)
        if number == 5:
            assert key == "x-train.tfrecord-00001-of-00002:1"


def test_names_of_files_that_tell_the_split(tmp_path):
    splits = {
        "train-00000-of-00001": None,
        "validation-00000-of-00001": "validation",
        "x-test.tfrecord-00000-of-00001": "test",
        "calibration-00000-of-00001-0123abcd.tfrecord": "calibration",
        "mine-00000-of-00001.tfrecord": None,
        "latest-00000-of-00001": None,
        "test.tfrecord": "test",
        "coco_test.record-00000-of-00010": "test",
        "coco_val2017.record": "validation",
        "Training_1.tfrecord": None,
        "train_and_test.tfrecord": None,
        "t10k.tfrecord": "test",
    }
    for name in splits:
        write(tmp_path / name, images(1))
    source = tfrecord.TFRecord(str(tmp_path / "*"), **TFDS, classes=3)
    assert source.find().splits == ("validation", "calibration", "test")
    items = accepted(source)
    assert {k.rpartition(":")[0]: i.split for k, i in items.items()} == splits


def test_directories_that_tell_the_split(tmp_path):
    names = ("train/0", "eval/0", "eval/test-00000-of-00001", "more/0")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, images(1))
    source = tfrecord.TFRecord(str(tmp_path / "*" / "*"), **TFDS, classes=3)
    items = accepted(source)
    assert {k.rpartition(":")[0]: i.split for k, i in items.items()} == dict(
        zip(names, (None, "test", "test", None), strict=True)
    )
    assert (source.find().images, source.find().divided) == (4, 2)


def test_hidden_and_system_files_are_skipped(tmp_path):
    write(tmp_path / "a", images(3))
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "Thumbs.db").write_bytes(b"no record, but long enough")
    source = tfrecord.TFRecord(str(tmp_path / "*"), **TFDS, classes=3)
    assert len(accepted(source)) == source.find().images == 3
    assert rejected(source) == {"Thumbs.db": file_names.SKIPPED}


def test_features_for_key_and_split(tmp_path):
    records = [
        example(i=b"1", c=b"dog", k=b"one", s=b"train"),
        example(i=b"2", c=b"cat", k=b"two", s=b"test"),
        example(i=b"3", c=b"cat", k=b"three", s=b"extra"),
        example(i=b"4", c=b"emu", k=b"four", s=b"train"),
        example(i=b"5", c=b"cat", s=b"train"),
    ]
    path = write(tmp_path / "a.tfrecord", records)
    options = {"image": "i", "label": "c", "key": "k", "split": "s"}
    source = tfrecord.TFRecord(path, classes=("dog", "cat"), **options)
    assert source.find().splits == ("test",)
    items = accepted(source)
    assert {k: (i.label, i.split) for k, i in items.items()} == {
        "one": (0, None),
        "two": (1, "test"),
    }
    assert source.load(items["two"].location) == b"2"
    assert rejected(source) == {
        "a.tfrecord:2": "unknown split 'extra'",
        "a.tfrecord:3": "unknown class 'emu'",
        "a.tfrecord:4": "not one text in 'k'",
    }


def test_records_that_cannot_be_used(tmp_path):
    records = [
        example(image=b"0", label=1),
        example(label=1),
        example(image=[b"1", b"2"], label=1),
        example(image=1, label=1),
        example(image=b"4"),
        example(image=b"5", label=[1, 2]),
        example(image=b"6", label=1.0),
        example(image=b"7", label=3),
        example(image=b"8", label=-1),
        example(image=b"9", label=b"\xff"),
        b"\xff\xff",
        b"",
    ]
    path = write(tmp_path / "a.tfrecord", records)
    source = tfrecord.TFRecord(path, **TFDS, classes=3)
    no_image = "not one value of bytes in 'image'"
    no_label = "not one integer or text in 'label'"
    assert list(accepted(source)) == ["a.tfrecord:0"]
    assert rejected(source) == {
        "a.tfrecord:1": no_image,
        "a.tfrecord:2": no_image,
        "a.tfrecord:3": no_image,
        "a.tfrecord:4": no_label,
        "a.tfrecord:5": no_label,
        "a.tfrecord:6": no_label,
        "a.tfrecord:7": "unknown class 3",
        "a.tfrecord:8": "unknown class -1",
        "a.tfrecord:9": no_label,
        "a.tfrecord:10": "not a tf.train.Example",
        "a.tfrecord:11": no_image,
    }


def test_pixels(tmp_path):
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8)
    size = {"image/height": 2, "image/width": 3, "label": 0}
    records = [
        example(image=pixels.tobytes(), **size),
        example(image=pixels[:6].tobytes(), **size),
        example(image=pixels[:12].tobytes(), **size),
        example(image=pixels[:7].tobytes(), **size),
        example(image=pixels.tobytes(), label=0),
        example(image=b"", **size),
        example(image=b"", **size | {"image/height": 0}),
    ]
    path = write(tmp_path / "a.tfrecord", records)
    source = tfrecord.TFRecord(path, **TFDS, classes=2, raw=True)
    colour, grey, *bad = accepted(source).values()
    loaded = source.load(colour.location)
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, pixels.reshape(2, 3, 3))
    assert source.load(grey.location).shape == (2, 3, 1)
    assert len(bad) == 5
    for item in bad:
        with pytest.raises(image.BadImage, match=r"bytes are not|no size in"):
            source.load(item.location)


@pytest.mark.parametrize("raw", [True, False])
def test_a_prepared_data_set(tmp_path, raw):
    pixels = np.full((2, 2, 3), 7, np.uint8)
    content = {"raw": pixels.tobytes()}
    if not raw:
        content = {"encoded": b"png", "format": "png"}
    data = record.encode(record.Record("a/ä", 1, 2, 2, 3, **content))
    name = "test-00000-of-00001-0123.tfrecord"
    (tmp_path / name).write_bytes(tfrecord_file.frame(data))
    source = tfrecord.TFRecord(
        str(tmp_path / "*.tfrecord"),
        image="image/raw" if raw else "image/encoded",
        label="image/label",
        key="image/key",
        classes=("x", "y"),
        raw=raw,
    )
    (item,) = listed(source)
    assert item[:2] == ("a/ä", 1)
    assert (item.split, item.reason) == ("test", "")
    loaded = source.load(item.location)
    np.testing.assert_array_equal(loaded, pixels if raw else b"png")


def damaged(tmp_path, at, by=b"\xff"):
    """A file of ten records, one byte of the fifth changed."""
    path = tmp_path / "a.tfrecord"
    write(path, images(10))
    data = bytearray(path.read_bytes())
    size = len(data) // 10
    data[4 * size + at : 4 * size + at + len(by)] = by
    path.write_bytes(data)
    return tfrecord.TFRecord(str(path), **TFDS, classes=3)


def test_a_damaged_record_is_one_item(tmp_path):
    source = damaged(tmp_path, at=20)
    assert rejected(source) == {
        "a.tfrecord:4": "damaged record: wrong CRC of the data"
    }
    assert len(accepted(source)) == 9


def test_after_a_damaged_length_nothing_is_found(tmp_path):
    source = damaged(tmp_path, at=0)
    (reason,) = rejected(source).values()
    assert reason.endswith("nothing after it can be found")
    assert len(accepted(source)) == 4


def test_a_truncated_file(tmp_path):
    path = tmp_path / "a.tfrecord"
    write(path, images(10))
    whole = path.read_bytes()
    size = len(whole) // 10
    source = tfrecord.TFRecord(str(path), **TFDS, classes=3)
    for cut in (5, 12, 20, size - 2):
        path.write_bytes(whole[: 4 * size + cut])
        assert len(accepted(source)) == 4
        (reason,) = rejected(source).values()
        assert reason.startswith("truncated record")


def test_a_record_that_is_too_large(tmp_path, monkeypatch):
    large = example(image=bytes(2000), label=0)
    path = write(tmp_path / "a.tfrecord", [*images(2), large, *images(2)])
    monkeypatch.setattr(foreign_records, "MAX_RECORD", 1000)
    source = tfrecord.TFRecord(path, **TFDS, classes=3)
    assert list(rejected(source)) == ["a.tfrecord:2"]
    assert len(accepted(source)) == 4


def test_a_compressed_file_is_refused(tmp_path):
    write(tmp_path / "a.tfrecord", images(3), "GZIP")
    source = tfrecord.TFRecord(str(tmp_path / "*"), **TFDS, classes=3)
    with pytest.raises(ValueError, match="compressed with gzip"):
        source.find()
    (tmp_path / "b.tfrecord").write_bytes(gzip.compress(b"x"))
    write(tmp_path / "a.tfrecord", images(3))
    with pytest.raises(ValueError, match=r"b\.tfrecord, which is compressed"):
        listed(source)


def test_random_access_in_any_order_and_by_many_threads(tmp_path):
    for part in range(3):
        name = f"part-{part}.tfrecord"
        write(tmp_path / name, images(20, start=20 * part))
    source = tfrecord.TFRecord(str(tmp_path / "*.tfrecord"), **TFDS, classes=3)
    items = list(accepted(source).values())
    expected = [b"image %d" % number for number in range(60)]
    wrong = []

    def read(seed):
        for index in random.Random(seed).choices(range(60), k=300):
            if source.load(items[index].location) != expected[index]:
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [source.load(item.location) for item in items] == expected
    assert not wrong


def test_a_file_is_opened_once(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tfrecord", images(50))
    source = tfrecord.TFRecord(path, **TFDS, classes=3)
    items = listed(source)
    opened = []

    def count(path, original=beam_files.open):
        opened.append(path)
        return original(path)

    monkeypatch.setattr(beam_files, "open", count)
    for item in items:
        source.load(item.location)
    assert opened == [path]


def test_a_file_that_was_replaced_is_read_anew(tmp_path):
    path = write(tmp_path / "a.tfrecord", images(2))
    source = tfrecord.TFRecord(path, **TFDS, classes=3)
    assert source.load(listed(source)[0].location) == b"image 0"
    write(tmp_path / "b.tfrecord", images(3, start=5))
    (tmp_path / "b.tfrecord").rename(path)
    assert source.load(listed(source)[0].location) == b"image 5"


def test_an_object_store_gives_the_same_items(tmp_path, bucket):
    names = ["x-train.tfrecord-00000-of-00001", "x-test.tfrecord-0-of-1"]
    for name in names:
        write(tmp_path / name, images(5))
    (tmp_path / "label.labels.txt").write_bytes(b"cat\ndog\nemu\n")
    for path in tmp_path.iterdir():
        bucket[f"bucket://b/d/{path.name}"] = path.read_bytes()
    local = tfrecord.TFRecord(str(tmp_path / "x-*"), **TFDS)
    remote = tfrecord.TFRecord("bucket://b/d/x-*", **TFDS)
    mine, theirs = local.find(), remote.find()
    assert dataclasses.replace(mine, pieces=()) == dataclasses.replace(
        theirs, pieces=()
    )
    assert [i._replace(location="") for i in listed(remote)] == [
        i._replace(location="") for i in listed(local)
    ]
    assert remote.load(listed(remote)[3].location) == b"image 3"
    assert (
        remote.state() == tfrecord.TFRecord("bucket://b/d/x-*", **TFDS).state()
    )


def test_the_number_of_images_is_estimated(tmp_path):
    for part in range(3):
        write(tmp_path / f"{part}.tfrecord", images(400))
    source = tfrecord.TFRecord(str(tmp_path / "*"), **TFDS, classes=3)
    assert 1150 < source.find().images < 1250


def test_empty_files_are_no_harm(tmp_path):
    write(tmp_path / "a.tfrecord", [])
    write(tmp_path / "b.tfrecord", images(3))
    source = tfrecord.TFRecord(str(tmp_path / "*"), **TFDS, classes=3)
    assert source.find().images == len(accepted(source)) == 3


def test_the_state_sees_files_and_options(tmp_path):
    write(tmp_path / "a.tfrecord", images(3))
    pattern = str(tmp_path / "*.tfrecord")
    source = tfrecord.TFRecord(pattern, **TFDS, classes=3)
    states = [source.state()]
    assert source.state() == states[0]
    states.append(tfrecord.TFRecord(pattern, **TFDS, classes=4).state())
    write(tmp_path / "b.tfrecord", images(3))
    states.append(source.state())
    write(tmp_path / "a.tfrecord", images(4))
    states.append(source.state())
    assert len(set(states)) == len(states)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "`classes`"),
        ({"classes": ("a", "a")}, "`classes`"),
        ({"classes": 3, "image": "picture"}, "`image`"),
        ({"classes": 3, "label": "y"}, "`label`"),
        ({"classes": 3, "key": "y"}, "`key`"),
        ({"classes": 3, "split": "y"}, "`split`"),
        ({"classes": 3, "splits": ("val",)}, "`splits`"),
        ({"classes": 3, "labels_file": "x"}, "`classes`"),
        ({"labels_file": "/no/where"}, "no/where.*which is not there"),
        ({"classes": 3, "pattern": "/no/where*"}, "at least one file"),
    ],
)
def test_unusable_options(tmp_path, options, message):
    path = write(tmp_path / "a.tfrecord", [example(image=b"1", x=1)])
    options = {"pattern": path, "image": "image", "label": "x"} | options
    with pytest.raises(ValueError, match=message):
        tfrecord.TFRecord(**options).find()


@pytest.mark.parametrize("content", [b"", b"x", b"not a record at all"])
def test_files_that_are_no_records(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    source = tfrecord.TFRecord(str(tmp_path / "a"), **TFDS, classes=3)
    with pytest.raises(ValueError, match="`pattern`"):
        source.find()
