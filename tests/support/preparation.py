"""Prepares small sets, and reads them as TensorFlow does."""

import io

import ml_collections
import numpy as np
import tensorflow as tf
from PIL import Image

from pipeline.config import default

NO_FRACTIONS = {"validation": 0.0, "calibration": 0.0, "test": 0.0}


def config(source="digits", **changes):
    data = {
        **default().data.to_dict(),
        "source": source,
        "size": 8,
        "channels": 1,
        "fractions": {"validation": 0.1, "calibration": 0.1, "test": 0.2},
        "shard_images": 500,
        "least": 0,
        **changes,
    }
    return ml_collections.ConfigDict({"data": data})


def contents(directory):
    return {
        path.name: path.read_bytes() for path in sorted(directory.iterdir())
    }


def records(directory, manifest):
    """Returns {key: (split, label, pixels)} as TensorFlow reads them."""
    encoded = manifest["storage"] == "encoded"
    content = "image/encoded" if encoded else "image/raw"
    features = {
        name: tf.io.FixedLenFeature([], kind)
        for name, kind in {
            content: tf.string,
            "image/key": tf.string,
            "image/label": tf.int64,
            "image/height": tf.int64,
            "image/width": tf.int64,
            "image/channels": tf.int64,
        }.items()
    }
    found = {}
    for facts in manifest["shards"]:
        path = str(directory / facts["file"])
        count = 0
        for example in tf.data.TFRecordDataset(path):
            row = tf.io.parse_single_example(example, features)
            shape = [
                int(row[f"image/{n}"]) for n in ("height", "width", "channels")
            ]
            data = row[content].numpy()
            if encoded:
                pixels = np.asarray(Image.open(io.BytesIO(data)))
            else:
                pixels = np.frombuffer(data, np.uint8)
            key = row["image/key"].numpy().decode()
            found[key] = (
                facts["split"],
                int(row["image/label"]),
                pixels.reshape(shape),
            )
            count += 1
        assert count == facts["images"]
    return found


def write_folder(root, count=20, classes=("cat", "dog")):
    for name in classes:
        (root / name).mkdir(parents=True)
        # The split of an image follows from its pixels: the same in any order
        # of tests, and others in another folder.
        rng = np.random.default_rng([*f"{root.name}/{name}".encode()])
        for index in range(count):
            pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index:03d}.png")


def folder_config(root, **changes):
    return config("image_folder", source_options={"path": str(root)}, **changes)
