import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pipeline.data import dataset, record
from pipeline.storage import tfrecord_file
from tests.support import prepared_data

IMAGES, LABELS = prepared_data.images(50)
MEMBERS = {"train": (IMAGES, LABELS), "test": (IMAGES[:9], LABELS[:9])}


@pytest.fixture
def directory(tmp_path):
    return prepared_data.write(tmp_path, MEMBERS)


@pytest.mark.parametrize("memory", [0, IMAGES.size])
@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("storage", ["raw", "png", "mixed"])
def test_what_was_written_is_read(tmp_path, storage, memory, verify):
    prepared_data.write(tmp_path, MEMBERS, storage=storage)
    found = dataset.open_split(tmp_path, "train", memory=memory, verify=verify)
    kind = dataset.Images if memory else dataset.MappedImages
    assert type(found) is kind
    assert len(found) == 50
    assert found.labels.dtype == np.int32
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found.keys == tuple(f"train/{i:06}" for i in range(50))
    for chosen in (np.arange(50), np.array([49, 0, 21, 21, 3]), np.arange(0)):
        taken = found.take(chosen)
        assert taken.dtype == np.uint8
        np.testing.assert_array_equal(taken, IMAGES[chosen])


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_files_are_decoded_as_pillow_does(tmp_path, channels):
    pixels, labels = prepared_data.images(5, side=16, channels=channels)
    members = {"train": (pixels, labels)}
    prepared_data.write(tmp_path, members, storage="jpeg")
    expected = [
        prepared_data.stored("", image, 0, "jpeg").pixels() for image in pixels
    ]
    mapped = dataset.open_split(tmp_path, "train", memory=0)
    np.testing.assert_array_equal(mapped.take(np.arange(5)), expected)
    np.testing.assert_array_equal(
        dataset.load(tmp_path, "train").images, expected
    )


def test_tensorflow_may_have_written_the_records(tmp_path):
    def reordered(image):
        example = tf.train.Example.FromString(record.encode(image))
        parts = [
            tf.train.Example(
                features=tf.train.Features(feature={name: feature})
            ).features.SerializeToString()
            for name, feature in reversed(
                list(example.features.feature.items())
            )
        ]
        features = tf.train.Features.FromString(b"".join(parts))
        return tf.train.Example(features=features).SerializeToString()

    prepared_data.write(tmp_path, MEMBERS, encode=reordered)
    loaded = dataset.load(tmp_path, "train")
    np.testing.assert_array_equal(loaded.images, IMAGES)
    np.testing.assert_array_equal(loaded.labels, LABELS)


def test_the_limit_is_that_of_the_pixels(directory):
    def kind(memory):
        return type(dataset.open_split(directory, "train", memory=memory))

    assert kind(IMAGES.size) is dataset.Images
    assert kind(IMAGES.size - 1) is dataset.MappedImages


def test_more_shards_than_stay_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "_MAPPED_SHARDS", 2)
    prepared_data.write(tmp_path, MEMBERS, shard_images=5)
    found = dataset.open_split(tmp_path, "train", memory=0)
    chosen = np.random.default_rng(0).permutation(50)
    np.testing.assert_array_equal(found.take(chosen), IMAGES[chosen])


@pytest.mark.parametrize("split", ["validation", "valid"])
def test_a_split_without_images(directory, split):
    with pytest.raises(ValueError, match="`split`"):
        dataset.load(directory, split)


@pytest.mark.parametrize("verify", [True, False])
def test_a_missing_shard_is_named(directory, verify):
    (directory / "train-00001.tfrecord").unlink()
    with pytest.raises(ValueError, match=r"train-00001\.\S+ cannot be read"):
        dataset.open_split(directory, "train", verify=verify)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-7], "bytes"),
        (lambda data: data[:99] + b"!" + data[100:], "SHA-256"),
    ],
)
@pytest.mark.parametrize("memory", [0, IMAGES.size])
def test_a_damaged_shard_is_named(directory, damage, message, memory):
    path = directory / "train-00002.tfrecord"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f"{path.name} must .*{message}"):
        dataset.open_split(directory, "train", memory=memory)
    assert len(dataset.load(directory, "test").keys)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_a_truncated_shard_that_is_not_verified(directory, share):
    path = directory / "train-00000.tfrecord"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=rf"{path.name} "):
        dataset.open_split(directory, "train", memory=0, verify=False)


@pytest.mark.parametrize("label", [3, 1000])
def test_a_label_without_a_name_is_refused(tmp_path, label):
    pixels, labels = prepared_data.images(4)
    labels = labels % 3
    labels[2] = label
    prepared_data.write(tmp_path, {"train": (pixels, labels)}, labels=3)
    with pytest.raises(ValueError, match=rf"from 0 to 2.*Received: {label}"):
        dataset.open_split(tmp_path, "train")


def test_every_changed_byte_is_found_without_verification(tmp_path):
    pixels, labels = prepared_data.images(3, side=2)
    prepared_data.write(tmp_path, {"train": (pixels, labels)})
    path = tmp_path / "train-00000.tfrecord"
    data = path.read_bytes()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x10
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=path.name):
            dataset.open_split(tmp_path, "train", memory=0, verify=False).take(
                np.arange(3)
            )


def rewrite(directory, data, images):
    """Replaces a shard by another one, in the manifest, too."""
    path = directory / "manifest.json"
    description = json.loads(path.read_text())
    shard = description["shards"][0]
    shard |= {"images": images, "bytes": len(data)}
    shard["sha256"] = dataset.hashlib.sha256(data).hexdigest()
    (directory / shard["file"]).write_bytes(data)
    path.write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([b"no Example"], "not a tf.train.Example"),
        (
            [prepared_data.stored("a", IMAGES[0], 0)] * 19,
            "20 images.*Received: 19",
        ),
        (
            [prepared_data.stored("a", IMAGES[0, 1:], 0)] * 20,
            "shape.*168 bytes",
        ),
        ([record.Record("a", 0, 8, 8, 3, bytes(9))] * 20, "shape.*9 bytes"),
    ],
)
def test_a_shard_of_other_records(directory, records, message):
    data = b"".join(
        tfrecord_file.frame(r if isinstance(r, bytes) else record.encode(r))
        for r in records
    )
    rewrite(directory, data, 20)
    with pytest.raises(ValueError, match=message):
        dataset.open_split(directory, "train", memory=0)


def test_features_that_are_missing(directory):
    example = tf.train.Example.FromString(
        record.encode(prepared_data.stored("a", IMAGES[0], 0))
    )
    del example.features.feature["image/label"]
    rewrite(
        directory, tfrecord_file.frame(example.SerializeToString()) * 20, 20
    )
    with pytest.raises(ValueError, match="'image/label'"):
        dataset.load(directory, "train")


@pytest.mark.parametrize(
    "encoded",
    [
        b"not an image",
        prepared_data.stored("a", IMAGES[0], 0, "png").encoded[:-30],
        prepared_data.stored("a", IMAGES[0, :4], 0, "png").encoded,
        prepared_data.stored("a", IMAGES[0, ..., :1], 0, "png").encoded,
    ],
)
def test_an_encoded_image_that_is_none(directory, encoded):
    stored = record.Record("a", 0, 8, 8, 3, encoded=encoded, format="png")
    good = prepared_data.stored("b", IMAGES[1], 1, "png")
    data = tfrecord_file.frame(record.encode(good)) * 19
    rewrite(directory, data + tfrecord_file.frame(record.encode(stored)), 20)
    found = dataset.open_split(directory, "train", memory=0)
    np.testing.assert_array_equal(found.take(np.array([18]))[0], IMAGES[1])
    with pytest.raises(ValueError, match=f"damaged record at byte {len(data)}"):
        found.take(np.array([1, 19]))
    with pytest.raises(ValueError, match="damaged record"):
        dataset.load(directory, "train")


@pytest.mark.parametrize("text", [None, "{", "[]", '{"format_version": 99}'])
def test_a_manifest_that_is_none(directory, text):
    (directory / "manifest.json").unlink()
    if text is not None:
        (directory / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"manifest\.json"):
        dataset.load(directory, "train")


def test_reading_needs_neither_tensorflow_nor_keras_nor_beam():
    code = (
        "import sys\n"
        "from pipeline.data import augmentation, batches, dataset\n"
        "heavy = {'tensorflow', 'keras', 'tf_keras', 'apache_beam', 'jax'}\n"
        "print(*heavy & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
