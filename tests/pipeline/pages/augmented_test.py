"""Pictures of what augmentations make of training images."""

import base64
import io
import shutil

import ml_collections
import numpy as np
from PIL import Image

from pipeline.config import load
from pipeline.data import manifest
from pipeline.pages import augmented
from tests.support import prepared_data


def prepared(root, channels=3, side=10):
    root.mkdir()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, side, side, channels), np.uint8)
    labels = np.arange(20, dtype=np.int32) % 3
    prepared_data.write(root, {"train": (pixels, labels)}, labels=3)
    return root, pixels


def settings(**train):
    found = load("photos")
    with found.unlocked():
        found.model.size, found.data.size = 8, 10
        for name, value in train.items():
            found.train[name] = value
    return found


def decoded(sheet):
    kind, _, data = sheet.image.partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_one_for_each_augmentation(tmp_path):
    data, _ = prepared(tmp_path / "data")
    flip, crop = augmented.sheets(settings(), data, manifest.read(data))
    assert (flip.name, flip.stages) == ("flip", (1,))
    assert (crop.name, crop.stages) == ("resized_crop_flip", (2,))
    # Eight images of as many pixels, an image and three views of it.
    assert decoded(crop).shape == (4 * 10 - 2, 8 * 10 - 2, 3)
    assert crop.width == decoded(crop).shape[1]
    again = augmented.sheets(settings(), data, manifest.read(data))
    assert again == [flip, crop]


def test_stages_that_show_the_same_share_one(tmp_path):
    data, _ = prepared(tmp_path / "data", channels=1)
    stages = ({"epochs": 1}, {"epochs": 1}, {"epochs": 1, "size": 4})
    chosen = settings(
        stages=stages,
        augmentation="flip",
        augmentation_options=ml_collections.ConfigDict(),
    )
    both, small = augmented.sheets(chosen, data, manifest.read(data))
    assert (both.stages, both.size) == ((1, 2), 8)
    assert (small.stages, small.size) == ((3,), 4)


def test_none_without_augmentation_or_images(tmp_path):
    data, _ = prepared(tmp_path / "data")
    found = manifest.read(data)
    plain = settings(stages=(), augmentation="none")
    assert augmented.sheets(plain, data, found) == []
    shutil.rmtree(data)
    assert augmented.sheets(settings(), data, found) == []
