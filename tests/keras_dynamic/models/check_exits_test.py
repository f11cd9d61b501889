import logging

import keras
import pytest

import keras_dynamic as kd
from tests.support import small_models

L = keras.layers
ops = keras.ops


def _exit(x, k, **arguments):
    pooled = L.GlobalAveragePooling2D()(x)
    return L.Dense(**{"units": 3, "name": f"exit_{k}", **arguments})(pooled)


def _model(change=None, first=None, last=None, inner=None, shape=(8, 8, 3)):
    """A model with two exits, of which one or the other thing is changed."""
    image = keras.Input(shape)
    x = L.Conv2D(4, 3, activation="relu")(image)
    x = inner(x) if inner else x
    early = _exit(x, 0, **(first or {}))
    x = L.Conv2D(4, 3)(x)
    late = _exit(x, 1, **(last or {}))
    outputs = [early, late]
    return keras.Model(image, change(outputs) if change else outputs)


class Unknown(L.Layer):
    """A layer of a user."""

    def call(self, x):
        return x


def _subclassed():
    class Mine(keras.Model):
        def call(self, x):
            return x

    return Mine()


def _channels_first():
    image = keras.Input((3, 8, 8))
    x = L.Conv2D(4, 3, data_format="channels_first", name="planes")(image)
    return keras.Model(image, [_exit(x, 0), _exit(x, 1)])


def _two_inputs():
    images = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    x = L.Add()(images)
    return keras.Model(images, [_exit(x, 0), _exit(x, 1)])


def _maps():
    image = keras.Input((8, 8, 3))
    return keras.Model(
        image, [L.Conv2D(3, 1, name="exit_0")(image), _exit(image, 1)]
    )


BAD = {
    "a function": (lambda: len, "functional"),
    "a subclass": (_subclassed, "subclassed"),
    "no input": (lambda: keras.Sequential([L.Dense(3)]), "Sequential"),
    "two inputs": (_two_inputs, "2 inputs"),
    "a size that varies": (lambda: _model(shape=(None, 8, 3)), "fix all sizes"),
    "an input of vectors": (
        lambda: keras.Model(
            v := keras.Input((4,)), [L.Dense(3, name="exit_0")(v)]
        ),
        "height",
    ),
    "channels first": (_channels_first, "channels_last"),
    "a name": (lambda: _model(first={"name": "early"}), "'exit_0'"),
    "names the wrong way round": (
        lambda: _model(lambda outputs: outputs[::-1]),
        "'exit_0'",
    ),
    "an exit that is no output": (
        lambda: _model(
            inner=lambda x: L.Add()([x, L.Dense(4, name="exit_7")(x)])
        ),
        "'exit_7'",
    ),
    "other classes": (lambda: _model(first={"units": 4}), "4 classes"),
    "one class": (
        lambda: _model(first={"units": 1}, last={"units": 1}),
        "two or more classes",
    ),
    "maps": (_maps, "pooling"),
    "one output twice": (lambda: _model(lambda o: [o[0], o[0]]), "once"),
    "a sigmoid": (
        lambda: _model(last={"activation": "sigmoid"}),
        "logits",
    ),
    "a softmax inside": (
        lambda: _model(
            lambda o: [
                o[0],
                L.Average(name="exit_1")(
                    [L.Softmax(name="p")(e) for e in o[1:]]
                    + [L.Softmax()(o[0])]
                ),
            ],
            last={"name": "late"},
        ),
        "softmax 'p'",
    ),
    "a fused softmax inside": (
        lambda: _model(
            lambda o: [o[0], L.Rescaling(2.0, name="exit_1")(o[1])],
            last={"name": "late", "activation": "softmax"},
        ),
        "softmax 'late'",
    ),
    "a Lambda": (
        lambda: _model(inner=L.Lambda(lambda x: x * 2, name="twice")),
        "'twice'.*keras.ops",
    ),
    "an unknown class": (
        lambda: _model(inner=Unknown(name="mine")),
        "'mine'.*ptq",
    ),
    "attention": (
        lambda: _model(
            inner=lambda x: L.MultiHeadAttention(1, 4, name="heads")(x, x)
        ),
        "'heads'.*ptq",
    ),
    "a random crop": (
        lambda: _model(inner=L.RandomCrop(4, 4, name="crop")),
        "'crop'.*CenterCrop",
    ),
    "an activation": (
        lambda: _model(inner=L.Activation("softplus", name="soft")),
        "'soft'.*gelu",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_models(case):
    build, said = BAD[case]
    with pytest.raises(ValueError, match=rf"(?s)`model`.*{said}"):
        kd.check_exits(build())


def test_one_error_says_all():
    model = _model(
        first={"name": "early", "units": 4},
        inner=lambda x: Unknown(name="mine")(
            L.Activation("softplus", name="soft")(x)
        ),
    )
    with pytest.raises(ValueError, match="`model`") as caught:
        kd.check_exits(model)
    for said in ("'exit_0'", "4 classes", "'mine'", "'soft'"):
        assert said in str(caught.value)


def test_layers_are_left_alone_if_nothing_is_deployed():
    model = _model(inner=Unknown())
    assert kd.check_exits(model, deploy=False) is model


def test_a_layer_may_be_left_in_float():
    model = _model(inner=Unknown(name="mine"))
    assert kd.check_exits(model, keep_float=["mine"]) is model


@pytest.mark.parametrize("family", small_models.ARGUMENTS)
def test_our_families_pass(family):
    model = small_models.small(family)
    assert kd.check_exits(model) is model


def test_one_output_is_told(caplog):
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, _exit(image, 0))
    with caplog.at_level(logging.WARNING):
        kd.check_exits(model)
    assert "one output" in caplog.text


@pytest.mark.parametrize(
    "last",
    [
        {"activation": "softmax"},
        {"name": "logits"},
    ],
)
def test_a_softmax_at_an_exit_passes(last):
    def change(outputs):
        if "name" in last:
            outputs[1] = L.Softmax(name="exit_1")(outputs[1])
        return outputs

    kd.check_exits(_model(change, last=last))


def test_attention_over_places_is_no_softmax_of_classes():
    def inner(x):
        share = L.Softmax()(L.Dense(4)(L.GlobalAveragePooling2D()(x)))
        return L.Multiply()([x, share])

    kd.check_exits(_model(inner=inner))
