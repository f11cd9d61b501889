from importlib import import_module

import keras
import numpy as np
import pytest

from keras_dynamic import models
from keras_dynamic.graph import functional

SIZE = (16, 16, 3)
IMAGES = np.random.default_rng(0).random((2, *SIZE), np.float32)
MODULE = """
import keras

class Shift(keras.layers.Layer):
    def call(self, x):
        return x + 1.0
"""


def saved(path, *middle, size=SIZE, exits=(), classes=4):
    x = inputs = keras.Input(size)
    x = keras.layers.Conv2D(6, 3, name="conv")(x)
    for layer in middle:
        x = layer(x)
    pool = keras.layers.GlobalAveragePooling2D()
    logits = [
        keras.layers.Dense(classes, name=name)(pool(x))
        for name in (*exits, "predictions")
    ]
    model = keras.Model(inputs, logits if exits else logits[0])
    model.save(path)
    return model


def load(path, **arguments):
    return models.build(
        "keras_file",
        **{"input_shape": SIZE, "classes": 4, "path": str(path), **arguments},
    )


def names(model):
    return [functional.producer(each).operation.name for each in model.outputs]


def test_exits_are_attached(tmp_path):
    own = saved(tmp_path / "own.keras")
    model = load(tmp_path / "own.keras", at=["conv"])
    assert names(model) == ["exit_0", "exit_1"]
    np.testing.assert_array_equal(model(IMAGES)[1], own(IMAGES))


def test_outputs_are_named(tmp_path):
    own = saved(tmp_path / "own.keras", exits=("early",))
    model = load(tmp_path / "own.keras")
    assert names(model) == ["exit_0", "exit_1"]
    for ours, theirs in zip(model(IMAGES), own(IMAGES), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_layers_of_our_names_make_room(tmp_path):
    others = [keras.layers.ReLU(name=name) for name in ("exit_1", "image")]
    own = saved(tmp_path / "own.keras", *others, exits=("early",))
    model = load(tmp_path / "own.keras")
    assert names(model) == ["exit_0", "exit_1"]
    for ours, theirs in zip(model(IMAGES), own(IMAGES), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_model_of_any_size_gets_one(tmp_path):
    saved(tmp_path / "own.keras", size=(None, None, 3))
    model = load(tmp_path / "own.keras", at=["conv"])
    assert model.input_shape == (None, *SIZE)


def test_the_same_names_each_time(tmp_path):
    saved(tmp_path / "own.keras", keras.layers.ReLU())
    first, second = (
        [layer.name for layer in load(tmp_path / "own.keras", at=1).layers]
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        ({"path": "absent.keras"}, "path"),
        ({"at": None}, "at"),
        ({"at": ["cnov"]}, "at"),
        ({"input_shape": (20, 20, 3)}, "model"),
        ({"custom_objects": ("no_such_module:Layer",)}, "custom_objects"),
    ],
)
def test_wrong_arguments(tmp_path, wrong, argument):
    saved(tmp_path / "own.keras")
    with pytest.raises(ValueError, match=f"`{argument}`"):
        load(**{"path": tmp_path / "own.keras", "at": ["conv"], **wrong})


def test_outputs_of_other_classes(tmp_path):
    saved(tmp_path / "own.keras", exits=("early",), classes=7)
    with pytest.raises(ValueError, match=r"`model`.*4 classes.*early"):
        load(tmp_path / "own.keras")


def test_a_lambda_is_named_and_not_run(tmp_path):
    code = keras.layers.Lambda(lambda x: x, name="mine")
    saved(tmp_path / "own.keras", code)
    with pytest.raises(ValueError, match=r"`path`.*Lambda.*'mine'"):
        load(tmp_path / "own.keras", at=1)


def test_a_class_of_the_user_s_is_named_by_its_place(tmp_path, monkeypatch):
    (tmp_path / "their_layers.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    shift = import_module("their_layers").Shift(name="shift")
    own = saved("own.keras", shift)
    with pytest.raises(ValueError, match=r"`path`.*custom_objects.*'shift'"):
        load("own.keras", at=1)
    known = {"custom_objects": ("their_layers:Shift",)}
    model = load("own.keras", at=["conv"], **known)
    np.testing.assert_array_equal(model(IMAGES)[1], own(IMAGES))


def test_a_damaged_file(tmp_path):
    saved(tmp_path / "own.keras")
    content = (tmp_path / "own.keras").read_bytes()
    (tmp_path / "own.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="`path`"):
        load(tmp_path / "own.keras", at=1)
