import json
import os

import ml_collections
import numpy as np
import pytest
import tensorflow as tf

from pipeline import augmentation, dataset, image, prepare
from pipeline.sources import digits

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (50, 8, 8, 3), np.uint8)
LABELS = np.arange(50)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    output = tmp_path_factory.mktemp("digits") / "data"
    data = {
        "source": "digits",
        "size": 16,
        "channels": 1,
        "fractions": {"calibration": 0.1, "test": 0.2},
        "shard_images": 500,
    }
    prepare.prepare(ml_collections.ConfigDict({"data": data}), output)
    return output


@pytest.fixture
def directory(pristine, tmp_path):
    """A copy to damage, of hard links that are replaced, not written to."""
    for path in pristine.iterdir():
        os.link(path, tmp_path / path.name)
    return tmp_path


def test_loads_what_was_prepared(pristine):
    items = {item.key: item for item in digits.find().items}
    seen = []
    for split in ("train", "calibration", "test"):
        loaded = dataset.load(pristine, split)
        assert loaded.images.dtype == np.uint8
        assert loaded.labels.dtype == np.int32
        assert loaded.images.shape == (len(loaded.keys), 16, 16, 1)
        assert [items[key].label for key in loaded.keys] == list(loaded.labels)
        for index in (0, len(loaded.keys) - 1):
            picture = digits.load(items[loaded.keys[index]].location)
            np.testing.assert_array_equal(
                loaded.images[index], image.fit(picture, 16, 1)
            )
        seen += loaded.keys
    assert sorted(seen) == sorted(items)


@pytest.mark.parametrize("split", ["validation", "valid"])
def test_a_split_without_images(pristine, split):
    with pytest.raises(ValueError, match="`split` must"):
        dataset.load(pristine, split)


def test_a_missing_shard_is_named(directory):
    name = "train-00001-of-00003.tfrecord"
    (directory / name).unlink()
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        dataset.load(directory, "train")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-7], "bytes"),
        (lambda data: data[:99] + b"!" + data[100:], "SHA-256"),
    ],
)
def test_a_damaged_shard_is_named(directory, damage, message):
    path = directory / "train-00002-of-00003.tfrecord"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(damage(data))
    with pytest.raises(ValueError, match=f"{path.name} must .*{message}"):
        dataset.load(directory, "train")
    assert len(dataset.load(directory, "test").keys)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"format_version": 2}'])
def test_a_manifest_that_is_none(directory, text):
    (directory / "manifest.json").unlink()
    if text is not None:
        (directory / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"manifest\.json"):
        dataset.load(directory, "train")


def test_a_manifest_is_plain_json(pristine):
    manifest = json.loads((pristine / "manifest.json").read_text())
    assert manifest["counts"]["validation"] == 0


def epoch(name="none", size=8, threads=None, **changes):
    arguments = {"batch_size": 16, "seed": 1, "epoch": 0, **changes}
    batches = dataset.batches(
        IMAGES,
        LABELS,
        augmentation=augmentation.get(name, size=size),
        **arguments,
    )
    if threads:
        options = tf.data.Options()
        options.threading.private_threadpool_size = threads
        batches = batches.with_options(options)
    return [(x.numpy(), y.numpy()) for x, y in batches]


def test_batches_without_augmentation_are_the_images():
    labels = []
    for x, y in epoch():
        assert (x.dtype, y.dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(x, IMAGES[y].astype(np.float32) / 255)
        labels += y.tolist()
    assert len(labels) == len(set(labels)) == 48
    assert labels != sorted(labels)


@pytest.mark.parametrize("name", ["crop_flip", "resized_crop_flip"])
def test_an_epoch_is_a_function_of_seed_and_epoch(name):
    first = epoch(name)
    for again in (epoch(name, threads=1), epoch(name, threads=4)):
        for (x, y), (x_again, y_again) in zip(first, again, strict=True):
            np.testing.assert_array_equal(x, x_again)
            np.testing.assert_array_equal(y, y_again)
    for other in (epoch(name, seed=2), epoch(name, epoch=1)):
        assert [y.tolist() for _, y in first] != [y.tolist() for _, y in other]


def test_batches_and_epochs_are_augmented_differently():
    pixels = np.broadcast_to(IMAGES[:1], IMAGES.shape)
    one, two = (
        [
            x.numpy()
            for x, _ in dataset.batches(
                pixels,
                LABELS,
                batch_size=25,
                seed=1,
                epoch=number,
                augmentation=augmentation.get("crop_flip", size=8),
            )
        ]
        for number in (0, 1)
    )
    assert (one[0] != one[1]).any()
    assert (one[0] != two[0]).any()


def test_the_number_of_batches_is_known():
    augment = augmentation.get("none", size=8)
    training = dataset.batches(
        IMAGES, LABELS, batch_size=16, seed=1, epoch=0, augmentation=augment
    )
    evaluation = dataset.evaluation_batches(IMAGES, batch_size=16, size=8)
    assert training.cardinality() == 3
    assert evaluation.cardinality() == 4
    assert training.element_spec[0].shape == (16, 8, 8, 3)


@pytest.mark.parametrize("batch_size", [0, 51])
def test_batch_size_must_fit(batch_size):
    with pytest.raises(ValueError, match="`batch_size` must"):
        epoch(batch_size=batch_size)


@pytest.mark.parametrize("size", [8, 5])
def test_evaluation_keeps_order_and_remainder(size):
    batches = [
        x.numpy()
        for x in dataset.evaluation_batches(IMAGES, batch_size=16, size=size)
    ]
    assert [len(x) for x in batches] == [16, 16, 16, 2]
    start = (8 - size) // 2
    crop = slice(start, start + size)
    np.testing.assert_array_equal(
        np.concatenate(batches),
        IMAGES[:, crop, crop].astype(np.float32) / 255,
    )
