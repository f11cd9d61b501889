import keras
import numpy as np
import pytest

import keras_dynamic as kd
from keras_dynamic.graph import functional

SIZE = (16, 16, 3)
IMAGES = np.random.default_rng(0).random((2, *SIZE), np.float32)


def backbone(*, top=(), name="backbone"):
    layers = [
        keras.Input(SIZE),
        keras.layers.Conv2D(4, 3, name="first"),
        keras.layers.ReLU(name="first_relu"),
        keras.layers.Conv2D(6, 3, strides=2, name="second"),
        keras.layers.ReLU(name="second_relu"),
        *top,
    ]
    return keras.Sequential(layers, name=name)


def classifier(units, activation=None):
    return (
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(units, activation=activation, name="predictions"),
    )


def names(model):
    return [functional.producer(each).operation.name for each in model.outputs]


@pytest.mark.parametrize(
    ("head", "convolutions"), [("dense", 0), ("conv1", 1), ("conv2", 2)]
)
def test_heads(head, convolutions):
    model = kd.attach_exits(
        backbone(), ["first_relu"], classes=5, head=head, head_width=7
    )
    assert names(model) == ["exit_0", "exit_1"]
    assert {each.shape for each in model.outputs} == {(None, 5)}
    found = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
        and functional.exit_of(layer.name) == 0
    ]
    assert [(each.filters, each.strides) for each in found] == [
        (7, (2, 2))
    ] * convolutions


def test_the_model_s_own_logits_stay():
    own = backbone(top=classifier(5))
    model = kd.attach_exits(own, ["first"], classes=5)
    assert names(model) == ["exit_0", "exit_1"]
    np.testing.assert_array_equal(model(IMAGES)[1], own(IMAGES))


@pytest.mark.parametrize(
    "top",
    [
        classifier(5, "softmax"),
        (*classifier(5), keras.layers.Softmax()),
        (*classifier(5), keras.layers.Activation("softmax")),
    ],
    ids=["argument", "Softmax", "Activation"],
)
def test_a_softmax_is_left_out(top):
    own = backbone(top=top)
    model = kd.attach_exits(own, ["first"], classes=5)
    assert names(model) == ["exit_0", "exit_1"]
    logits = np.asarray(model(IMAGES)[1])
    assert logits.min() < 0
    np.testing.assert_allclose(
        keras.ops.softmax(logits), own(IMAGES), rtol=1e-5
    )


def test_a_classifier_of_other_classes_is_left_out():
    model = kd.attach_exits(
        backbone(top=classifier(1000, "softmax")), 1, classes=3
    )
    assert [each.shape for each in model.outputs] == [(None, 3)] * 2
    assert "predictions" not in {each.name for each in model.layers}


@pytest.mark.parametrize(
    "top", [(), (keras.layers.GlobalMaxPooling2D(),)], ids=["map", "vector"]
)
def test_features_get_a_classifier(top):
    model = kd.attach_exits(backbone(top=top), ["first"], classes=3)
    assert names(model) == ["exit_0", "exit_1"]
    assert model.get_layer("exit_1").kernel.shape == (6, 3)


def test_an_exit_within_a_nested_model():
    inner = backbone()
    x = inputs = keras.Input(SIZE)
    x = inner(keras.layers.Rescaling(2.0, -1.0)(x), training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    own = keras.Model(inputs, keras.layers.Dense(5)(x))
    model = kd.attach_exits(own, ["backbone/second_relu"], classes=5)
    np.testing.assert_allclose(model(IMAGES)[1], own(IMAGES), rtol=1e-5)
    # Shared, not copied: what is frozen in one is so in the other.
    assert inner.get_layer("first") in model.layers
    with pytest.raises(ValueError, match=r"`at`.*'backbone/second_relu'"):
        kd.attach_exits(own, ["second_relu"], classes=5)


def test_saved_and_loaded(tmp_path):
    model = kd.attach_exits(backbone(), 1, classes=5, head="conv1")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(model(IMAGES), loaded(IMAGES), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_static_network_of_ours_becomes_the_last_exit():
    own = kd.models.build(
        "resnet", input_shape=SIZE, classes=4, blocks=1, widths=(4, 8)
    )
    model = kd.attach_exits(own, 1, classes=4)
    assert names(model) == ["exit_0", "exit_1"]
    np.testing.assert_allclose(model(IMAGES)[1], own(IMAGES), rtol=1e-5)
    assert kd.attach_exits(own, (), classes=4).output_shape == (None, 4)


def two_inputs():
    given = [keras.Input(SIZE), keras.Input(SIZE)]
    return keras.Model(given, keras.layers.Add()(given))


def two_outputs():
    inputs = keras.Input(SIZE)
    return keras.Model(inputs, [keras.layers.ReLU()(inputs), inputs])


def any_size():
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, keras.layers.ReLU()(inputs))


def channels_first():
    inputs = keras.Input((3, 16, 16))
    conv = keras.layers.Conv2D(4, 3, data_format="channels_first")
    return keras.Model(inputs, conv(inputs))


def subclassed():
    class Net(keras.Model):
        def call(self, x):
            return x

    return Net()


def with_a_call_of_its_own():
    """Makes a model that has a graph and does not run it."""

    class Doubled(keras.Model):
        def call(self, x):
            return 2 * super().call(x)

    inputs = keras.Input((16, 16, 3))
    return Doubled(inputs, keras.layers.Conv2D(4, 3)(inputs))


@pytest.mark.parametrize(
    "make",
    [
        two_inputs,
        two_outputs,
        any_size,
        channels_first,
        subclassed,
        with_a_call_of_its_own,
    ],
)
def test_models_that_cannot_have_exits(make):
    with pytest.raises(ValueError, match=r"`model`.*Received"):
        kd.attach_exits(make(), 1, classes=5)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("at", ["frist_relu"]),
        ("at", ["first", "first"]),
        ("at", ["pool"]),
        ("at", 9),
        ("classes", 0),
        ("head", "conv3"),
        ("head_width", 0),
    ],
)
def test_wrong_arguments(argument, value):
    given = {"at": 1, "classes": 5, argument: value}
    with pytest.raises(ValueError, match=f"`{argument}`"):
        kd.attach_exits(backbone(top=classifier(5)), **given)


def test_a_misspelled_layer_has_neighbours():
    with pytest.raises(ValueError, match="Did you mean 'first_relu'"):
        kd.attach_exits(backbone(), ["frist_relu"], classes=5)


def test_probabilities_per_class_are_no_logits():
    own = backbone(top=classifier(5, "sigmoid"))
    with pytest.raises(ValueError, match=r"`model`.*'sigmoid'"):
        kd.attach_exits(own, 1, classes=5)
