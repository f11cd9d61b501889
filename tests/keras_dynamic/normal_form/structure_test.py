"""Looks at what the normal form makes of whole models."""

import logging

import keras
import numpy as np
import pytest

from keras_dynamic import layers, normal_form
from keras_dynamic.graph.gating import gating
from keras_dynamic.normal_form import vocabulary
from tests.support import normal_forms, small_models

L = keras.layers
ops = keras.ops


def _classes(x, name="exit_0", **arguments):
    pooled = L.GlobalAveragePooling2D()(x)
    return L.Dense(3, name=name, **arguments)(pooled)


def _inner(name="inner", units=4):
    image = keras.Input((8, 8, units))
    x = L.Conv2D(4, 3, padding="same", name="conv")(image)
    x = L.BatchNormalization(name="norm")(x)
    return keras.Model(image, L.ReLU(name="relu")(x), name=name)


def _names(model):
    return [layer.name for layer in model.layers]


def test_nested_models_are_put_in_their_place():
    image = keras.Input((8, 8, 4))
    augment = keras.Sequential([L.RandomFlip(), L.RandomRotation(0.1)])
    x = _inner()(augment(image))
    x = L.Conv2D(4, 1, name="conv")(x)
    nested = keras.Sequential([keras.Input((8, 8, 4)), _inner("deep")])
    model = keras.Model(image, [_classes(nested(x))])
    normal = normal_forms.same(normal_forms.randomized(model))
    # The model's own layer keeps its name.
    assert normal.get_layer("conv").kernel_size == (1, 1)
    assert {"inner_conv", "norm", "relu", "exit_0"} < set(_names(normal))
    assert not any("random" in name for name in _names(normal))


def test_exits_inside_of_a_nested_model_keep_their_names():
    image = keras.Input((8, 8, 4))
    x = L.Conv2D(4, 1)(image)
    inner = keras.Model(
        image, [_classes(x), _classes(L.ReLU()(x), name="exit_1")]
    )
    outer = keras.Input((8, 8, 4))
    model = keras.Model(outer, inner(L.Rescaling(2.0)(outer)))
    normal = normal_forms.same(model)
    assert normal.output_names == ["exit_0", "exit_1"]


def test_a_shared_layer_is_copied_for_each_call():
    image = keras.Input((8, 8, 4))
    shared, inner = L.Conv2D(4, 1, name="shared"), _inner()
    x = shared(L.ReLU()(shared(image)))
    x = inner(inner(x))
    normal = normal_forms.same(
        normal_forms.randomized(keras.Model(image, [_classes(x)]))
    )
    names = set(_names(normal))
    assert {"shared", "shared_1", "conv", "norm"} < names
    assert sum("conv" in name for name in names) == 2


def test_a_sequential_model():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            L.Rescaling(1 / 127.5, -1.0),
            L.Conv2D(4, 3, activation="silu"),
            L.Dropout(0.5),
            L.GlobalMaxPooling2D(),
            L.Dense(3, name="exit_0"),
        ]
    )
    normal = normal_forms.same(model)
    assert normal.output_names == ["exit_0"]
    assert len(normal(np.zeros((2, 8, 8, 3))).shape) == 2


@pytest.mark.parametrize("name", ["_conv", "__", "a conv!", "conv:0"])
def test_names_become_valid(name):
    image = keras.Input((8, 8, 3), name="_image")
    x = L.Conv2D(4, 3, name=name)(image)
    x = L.Conv2D(4, 3, name="conv")(x)
    normal = normal_forms.same(keras.Model(image, [_classes(x)]))
    assert normal.get_layer("conv")


def test_frozen_layers_are_frozen():
    image = keras.Input((8, 8, 4))
    inner = _inner()
    inner.trainable = False
    x = L.Conv2D(4, 1, name="tuned", activation="silu")(inner(image))
    frozen = L.SeparableConv2D(4, 3, name="frozen", trainable=False)
    normal = normal_forms.same(keras.Model(image, [_classes(frozen(x))]))
    trained = {each.path.split("/")[0] for each in normal.trainable_weights}
    assert trained == {"tuned", "exit_0"}


@pytest.mark.parametrize(
    "end",
    [
        lambda x: _classes(x, activation="softmax"),
        lambda x: L.Activation("softmax", name="exit_0")(_classes(x, "logits")),
        lambda x: L.Softmax(name="exit_0")(_classes(x, "logits")),
        lambda x: L.Dropout(0.5)(ops.softmax(_classes(x))),
    ],
)
def test_a_softmax_that_ends_an_output_is_left_out(end, caplog):
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, [end(L.Conv2D(4, 3)(image))])
    with caplog.at_level(logging.INFO):
        normal = normal_form.of(model)
    assert normal.output_names == ["exit_0"]
    assert isinstance(normal.get_layer("exit_0"), L.Dense)
    assert "softmax" in caplog.text
    given = normal_forms.images(model)
    [logits] = normal_forms.outputs(normal, given)
    [ours] = normal_forms.outputs(model, given)
    np.testing.assert_allclose(ops.softmax(logits), ours, atol=1e-6)


def test_a_fused_softmax_that_is_read_inside_has_no_form():
    image = keras.Input((8, 8, 3))
    early = _classes(image, activation="softmax")
    late = L.Dense(3, name="exit_1")(early)
    with pytest.raises(normal_form.NoNormalFormError, match="exit_0"):
        normal_form.of(keras.Model(image, [early, late]))
    behind = L.Softmax()(_classes(image))
    late = L.Dense(3, name="exit_1")(behind)
    normal = normal_form.of(keras.Model(image, [behind, late]))
    assert normal.output_names == ["exit_0", "exit_1"]


def test_a_softmax_between_layers_stays():
    image = keras.Input((8, 8, 3))
    share = L.Softmax()(L.Dense(3)(L.GlobalAveragePooling2D()(image)))
    model = keras.Model(image, [_classes(L.Multiply()([image, share]))])
    assert any("softmax" in name for name in _names(normal_forms.same(model)))


def test_another_activation_of_an_exit_has_its_name():
    image = keras.Input((8, 8, 3))
    normal = normal_forms.same(
        keras.Model(image, [_classes(image, activation="tanh")])
    )
    assert normal.output_names == ["exit_0"]


@pytest.mark.parametrize(
    ("padding", "first"),
    [("valid", ["image", "conv"]), ("same", ["image", "standard", "conv"])],
)
def test_preprocessing_is_taken_into_a_convolution_where_exact(padding, first):
    image = keras.Input((8, 8, 3), name="image", dtype="uint8")
    norm = L.Normalization(
        mean=[0.4, 0.5, 0.6], variance=[0.2, 0.3, 0.1], name="standard"
    )
    x = norm(L.Rescaling(1 / 255)(image))
    x = L.Conv2D(4, 3, padding=padding, use_bias=False, name="conv")(x)
    model = keras.Model(image, [_classes(x)])
    normal = normal_form.of(model)
    assert _names(normal)[: len(first)] == first
    given = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3))
    np.testing.assert_allclose(
        normal(given.astype(np.float32))[0], model(given)[0], atol=1e-5
    )


def test_a_factor_behind_a_convolution_is_taken_into_it():
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, use_bias=False)(image) * 0.2
    x = L.ReLU()(L.DepthwiseConv2D(3)(x) * np.float32([1, -2, 3, 4]) + 1.0)
    x = L.Conv2DTranspose(4, 3)(x) / 3.0
    normal = normal_forms.same(keras.Model(image, [_classes(x)]))
    assert len(normal.layers) == 7


def test_a_factor_of_a_branch_is_taken_into_its_convolution():
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3)(image)
    x = L.Add()([x, 0.2 * L.Conv2D(4, 1)(x)])
    normal = normal_forms.same(keras.Model(image, [_classes(x)]))
    assert len(normal.layers) == 6


@pytest.mark.parametrize("first", [True, False])
def test_a_factor_that_two_layers_read_is_applied_once(first):
    image = keras.Input((8, 8, 3))
    x = scaled = L.Conv2D(4, 3)(image) * 0.5 + 1.0
    for step in (L.Conv2D(4, 1), ops.negative)[:: 1 if first else -1]:
        x = L.Add()([x, step(scaled)])
    normal_forms.same(keras.Model(image, [_classes(x)]))


def test_a_nested_model_for_images_of_any_size():
    any_size = keras.Input((None, None, 3))
    x = L.Conv2D(4, 3, activation="silu")(L.Rescaling(2.0)(any_size))
    x = L.GlobalMaxPooling2D(keepdims=True)(x[:, 1:, 1:]) * x
    backbone = keras.Model(any_size, x, name="backbone")
    image = keras.Input((8, 8, 3))
    normal_forms.same(keras.Model(image, [_classes(backbone(image))]))


def test_a_factor_behind_one_of_two_readers_is_not():
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3)(image)
    normal_forms.same(keras.Model(image, [_classes(L.Add()([x, 0.2 * x]))]))


def test_a_normalization_behind_a_convolution_stays():
    image = keras.Input((8, 8, 3))
    x = L.BatchNormalization(name="norm")(L.Conv2D(4, 3)(image))
    normal = normal_forms.same(
        normal_forms.randomized(keras.Model(image, [_classes(x)]))
    )
    assert isinstance(normal.get_layer("norm"), L.BatchNormalization)


@pytest.mark.parametrize("family", small_models.ARGUMENTS)
def test_our_families_keep_their_layers(family):
    model = small_models.small(family)
    normal = normal_forms.same(model)
    left_out = {
        layer.name for layer in model.layers if isinstance(layer, L.Dropout)
    }
    assert set(_names(normal)) == set(_names(model)) - left_out
    assert model.output_names == normal.output_names


def test_gates_stay_gates():
    model = small_models.small("lcnet")
    ours, theirs = gating(model), gating(normal_form.of(model))
    assert (ours.names, ours.parts) == (theirs.names, theirs.parts)


def test_a_model_in_mixed_precision_becomes_float32():
    image = keras.Input((8, 8, 3))
    half = "mixed_float16"
    x = L.Conv2D(4, 3, dtype=half, activation="silu")(image)
    model = keras.Model(image, [_classes(x, dtype=half)])
    normal = normal_form.of(model)
    assert {layer.compute_dtype for layer in normal.layers} == {"float32"}
    given = normal_forms.images(model)
    np.testing.assert_allclose(
        normal(given)[0], model(given)[0], rtol=0.01, atol=0.01
    )


def test_a_normal_form_is_its_own_and_can_be_saved(tmp_path):
    image = keras.Input((8, 8, 3))
    x = L.BatchNormalization()(L.Conv2D(4, 3, activation="selu")(image))
    x = ops.maximum(x, ops.relu(x[:, ::2, ::2][:, :1, :1])) / 2.0
    normal = normal_form.of(keras.Model(image, [_classes(x)]))
    normal.save(tmp_path / "normal.keras")
    loaded = keras.models.load_model(tmp_path / "normal.keras")
    again = normal_forms.same(loaded)
    assert _names(again) == _names(normal)


class Overridden(keras.Model):
    """A functional model that runs something else."""

    def __init__(self):
        image = keras.Input((8, 8, 3))
        super().__init__(image, image + 1.0)

    def call(self, x):
        return x * 2.0


class Unknown(L.Layer):
    """A layer of a user."""

    def call(self, x):
        return x * 2

    def compute_output_shape(self, shape):
        return shape


def test_one_error_names_all_layers_without_a_form():
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, activation="softplus", name="soft")(image)
    x = L.Lambda(lambda x: x + 1, output_shape=(6, 6, 4), name="some")(x)
    x = Unknown(name="mine")(x)
    x = L.ReLU(threshold=0.5, name="jump")(x)
    model = keras.Model(image, [_classes(x)])
    with pytest.raises(normal_form.NoNormalFormError) as caught:
        normal_form.of(model)
    for name in ("soft", "some", "mine", "jump"):
        assert repr(name) in str(caught.value)


def test_layers_may_be_left_as_they_are():
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, activation="softplus", name="soft")(image)
    x = L.Lambda(lambda x: x + 1, output_shape=(6, 6, 4), name="some")(x)
    x = L.MultiHeadAttention(1, 4, name="heads")(x, x)
    model = keras.Model(image, [_classes(ops.exp(Unknown(name="mine")(x)))])
    exp = next(o.name for o in model.operations if "exp" in o.name)
    names = ["soft", "some", "heads", "mine", exp]
    normal = normal_form.of(model, keep=names)
    given = normal_forms.images(model)
    np.testing.assert_allclose(normal(given)[0], model(given)[0], atol=1e-5)
    found = "\n".join(vocabulary.strays(normal))
    assert all(repr(name) in found for name in names)
    assert vocabulary.strays(normal, keep=names) == []
    with pytest.raises(ValueError, match="`keep`"):
        normal_form.of(model, keep=["nobody"])


def test_combined_depthwise_kernels_have_no_form():
    image = keras.Input((8, 8, 3))
    shares = L.Dense(2)(L.GlobalAveragePooling2D()(image))
    x = layers.BasisDepthwiseConv2D(3, bases=2)([image, shares])
    with pytest.raises(normal_form.NoNormalFormError, match="static"):
        normal_form.of(keras.Model(image, [_classes(x)]))


@pytest.mark.parametrize(
    "build", [lambda: keras.Sequential([L.Dense(3)]), Overridden]
)
def test_a_model_without_a_graph(build):
    with pytest.raises(ValueError, match="`model`"):
        normal_form.of(build())
    image = keras.Input((8, 8, 3))
    outer = keras.Model(image, [_classes(Overridden()(image))])
    with pytest.raises(normal_form.NoNormalFormError, match="Overridden"):
        normal_form.of(outer)


def test_inputs_of_variable_size():
    image = keras.Input((None, 8, 3))
    with pytest.raises(ValueError, match="`model`"):
        normal_form.of(keras.Model(image, [_classes(image)]))


def test_strays_names_what_is_not_in_normal_form():
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, activation="relu", name="fused")(image)
    x = L.BatchNormalization(name="lone")(L.ReLU(name="_relu")(x))
    found = "\n".join(vocabulary.strays(keras.Model(image, [_classes(x)])))
    for name in ("fused", "lone", "_relu"):
        assert name in found
