"""A model from a program becomes a file that its configuration names."""

import importlib

import keras
import numpy as np
import pytest

import keras_dynamic as kd
from pipeline import Experiment
from pipeline.training import network, train
from tests.support import preparation

SIZE = (8, 8, 1)


def backbone(size=SIZE, classes=10):
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input(size),
        keras.layers.Conv2D(4, 3, activation="relu", name="first"),
        keras.layers.Conv2D(8, 3, activation="relu", name="second"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(classes, activation="softmax"),
    ]
    return keras.Sequential(layers)


def two_exits(**arguments):
    return kd.attach_exits(backbone(**arguments), ["first"], classes=10)


def experiment(workdir, model):
    return Experiment(workdir, "ranet_digits", model=model)


def test_the_same_model_is_built_again(tmp_path):
    model = two_exits()
    config = experiment(tmp_path, model).config
    assert (config.model.family, config.model.size) == ("keras_file", 8)
    assert (config.data.channels, config.data.size) == (1, 16)
    images = np.random.default_rng(0).random((3, *SIZE), np.float32)
    built = network.build(config, 10)
    for ours, theirs in zip(model(images), built(images), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [layer.name for layer in built.layers][-1] == "exit_1"


def test_any_model_with_several_outputs(tmp_path):
    inputs = keras.Input(SIZE)
    flat = keras.layers.Flatten()(inputs)
    ends = [keras.layers.Dense(10, activation="softmax") for _ in range(2)]
    model = keras.Model(inputs, [end(flat) for end in ends])
    built = network.build(experiment(tmp_path, model).config, 10)
    assert built.get_layer("exit_1").activation is keras.activations.linear


def test_its_content_names_the_file(tmp_path):
    model = two_exits()
    (path,) = (experiment(tmp_path, model), *tmp_path.iterdir())[1:]
    before = path.read_bytes()
    found = experiment(tmp_path, model).config.model.arguments.path
    assert (found, path.read_bytes()) == (str(path), before)
    model.get_layer("exit_0").bias.assign(np.ones(10))
    assert experiment(tmp_path, model).config.model.arguments.path != str(path)


def test_it_trains_from_its_weights(tmp_path):
    made = experiment(tmp_path, two_exits())
    made.config.data.update(preparation.config().data)
    made.config.train.epochs = 1
    made.config.train.learning_rate = 0.0
    made.config.train.weight_decay = 0.0
    made.config.train.augmentation = "none"
    made.config.train.augmentation_options = {}
    made.prepare()
    train.train(made.config, made.layout)
    trained = keras.models.load_model(made.layout.float_model)
    ours = network.build(made.config, 10).get_layer("second").get_weights()
    theirs = trained.get_layer("second").get_weights()
    for before, after in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(before, after)


def test_classes_of_the_user_s_are_named(tmp_path, monkeypatch):
    (tmp_path / "their_shift.py").write_text(
        "import keras\n"
        "class Shift(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return x + 1.0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    x = inputs = keras.Input(SIZE)
    x = importlib.import_module("their_shift").Shift()(x)
    inner = backbone()
    own = keras.Model(inputs, inner(x))
    model = kd.attach_exits(own, [f"{inner.name}/first"], classes=10)
    config = experiment(tmp_path / "work", model).config
    found = config.model.arguments.custom_objects
    assert found == ("their_shift:Shift",)
    built = network.build(config, 10)
    images = np.random.default_rng(0).random((3, *SIZE), np.float32)
    np.testing.assert_array_equal(built(images)[1], model(images)[1])
    assert [*network.custom_classes(config)] == ["Shift"]


def with_lambda():
    x = inputs = keras.Input(SIZE)
    x = keras.layers.Flatten()(keras.layers.Lambda(lambda x: x)(x))
    ends = [keras.layers.Dense(10)(x) for _ in range(2)]
    return keras.Model(inputs, ends)


@pytest.mark.parametrize(
    "make",
    [
        backbone,
        lambda: two_exits(size=(8, 12, 1)),
        lambda: two_exits(size=(8, 8, 4)),
        lambda: "nets:build",
        with_lambda,
    ],
    ids=["one output", "not square", "four channels", "no model", "Lambda"],
)
def test_models_that_cannot_be_trained(make, tmp_path):
    with pytest.raises(ValueError, match="`model`"):
        experiment(tmp_path, make())
    assert not [*tmp_path.iterdir()]
