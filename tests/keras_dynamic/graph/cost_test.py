import keras
import pytest

from keras_dynamic.graph import cost
from keras_dynamic.layers import (
    BasisCoefficients,
    BasisConv2D,
    BasisDepthwiseConv2D,
)

layers = keras.layers


def counted(outputs, inputs) -> list[tuple[int, int, int]]:
    """(madds, what the papers' rule adds, params) of every exit."""
    return [
        (row.madds, row.madds_paper - row.madds, row.params)
        for row in cost.exit_costs(keras.Model(inputs, outputs))
    ]


@pytest.mark.parametrize(
    ("layer", "madds", "extra", "params"),
    [
        # Input 8x8x4; "same" keeps 8x8, stride 2 gives 4x4.
        (layers.Conv2D(6, 3, padding="same"), 9 * 4 * 6 * 64, 0, 9 * 24 + 6),
        (layers.Conv2D(6, 3, use_bias=False), 9 * 4 * 6 * 36, 0, 9 * 24),
        (
            layers.Conv2D(6, (3, 1), strides=2, padding="same"),
            3 * 4 * 6 * 16,
            0,
            3 * 24 + 6,
        ),
        (
            layers.Conv2D(6, 3, groups=2, padding="same"),
            9 * 2 * 6 * 64,
            0,
            9 * 2 * 6 + 6,
        ),
        (layers.Conv2D(6, 3, dilation_rate=2), 9 * 4 * 6 * 16, 0, 9 * 24 + 6),
        (
            layers.Conv2D(6, 3, activation="relu", padding="same"),
            9 * 4 * 6 * 64,
            6 * 64,
            9 * 24 + 6,
        ),
        (
            layers.Conv2D(6, 1, activation="sigmoid"),
            4 * 6 * 64,
            0,
            24 + 6,
        ),
        (
            layers.DepthwiseConv2D(3, strides=2, padding="same"),
            9 * 4 * 16,
            0,
            9 * 4 + 4,
        ),
        (
            layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
            9 * 4 * 2 * 64,
            0,
            9 * 8 + 8,
        ),
        (
            layers.SeparableConv2D(6, 3, depth_multiplier=2, padding="same"),
            (9 * 8 + 8 * 6) * 64,
            0,
            9 * 8 + 8 * 6 + 6,
        ),
        # Each of 8x8 places gives 3x3 numbers per pair of channels.
        (
            layers.Conv2DTranspose(6, 3, strides=2, padding="same"),
            9 * 4 * 6 * 64,
            0,
            9 * 24 + 6,
        ),
        # Dense acts on the last axis, at every place.
        (layers.Dense(10), 4 * 10 * 64, 10 * 64, 50),
        (layers.Dense(10, use_bias=False), 40 * 64, 0, 40),
        (layers.ReLU(), 0, 4 * 64, 0),
        (layers.Activation("relu"), 0, 4 * 64, 0),
        (layers.ReLU(max_value=6), 0, 4 * 64, 0),
        (layers.Activation("tanh"), 0, 0, 0),
        (layers.Activation("hard_sigmoid"), 0, 0, 0),
        (layers.AveragePooling2D(2), 0, 4 * 64, 0),
        (layers.MaxPooling2D(3, 2, padding="same"), 0, 4 * 16 * 9, 0),
        (layers.GlobalAveragePooling2D(), 0, 4 * 64, 0),
        (layers.GlobalMaxPooling2D(), 0, 4 * 64, 0),
        # Gamma and beta; the moving statistics are no parameters.
        (layers.BatchNormalization(), 0, 0, 8),
        (layers.UpSampling2D(), 0, 0, 0),
    ],
)
def test_one_layer(layer, madds, extra, params):
    image = keras.Input((8, 8, 4))
    assert counted([layer(image)], image) == [(madds, extra, params)]


@pytest.mark.parametrize(
    ("shape", "layer", "madds", "extra"),
    [
        ((10, 4), layers.Conv1D(6, 3, padding="same"), 3 * 4 * 6 * 10, 0),
        ((4, 4, 4, 2), layers.Conv3D(3, 2, strides=2), 8 * 2 * 3 * 8, 0),
        ((10, 4), layers.SeparableConv1D(6, 3), (3 * 4 + 4 * 6) * 8, 0),
        ((10, 4), layers.Conv1DTranspose(6, 3, strides=2), 3 * 4 * 6 * 10, 0),
        ((10, 4), layers.MaxPooling1D(2), 0, 4 * 10),
        ((4, 4, 4, 2), layers.AveragePooling3D(2), 0, 2 * 64),
        ((12,), layers.Dense(5), 60, 5),
    ],
)
def test_other_dimensions(shape, layer, madds, extra):
    values = keras.Input(shape)
    [(found, found_extra, _)] = counted([layer(values)], values)
    assert (found, found_extra) == (madds, extra)


@pytest.mark.parametrize(
    ("layer", "numbers"),
    [
        (BasisConv2D(6, 3, bases=5, strides=2, padding="same"), 9 * 4 * 6),
        (BasisConv2D(4, 1, bases=5, strides=2), 4 * 4),
        (BasisDepthwiseConv2D(3, bases=5, strides=2, padding="same"), 9 * 4),
    ],
)
def test_a_kernel_combined_for_the_image_costs_all_its_bases(layer, numbers):
    image, coefficients = keras.Input((8, 8, 4)), keras.Input((5,))
    outputs = layer([image, coefficients])
    assert counted([outputs], [image, coefficients]) == [
        (numbers * 16 + numbers * 5, 0, numbers * 5 + outputs.shape[-1])
    ]


def test_what_counts_training_steps_is_no_parameter():
    scores = keras.Input((4,))
    outputs = BasisCoefficients(4, blend_steps=10)(scores)
    assert counted(outputs, scores) == [(0, 0, 0)]


@pytest.mark.parametrize("layer", [layers.Add(), layers.Multiply()])
def test_sums_and_products_of_maps_count_nothing(layer):
    image = keras.Input((8, 8, 4))
    assert counted([layer([image, image])], image) == [(0, 0, 0)]


def test_a_frozen_layer_keeps_its_parameters():
    image = keras.Input((8, 8, 4))
    frozen = layers.Conv2D(6, 1)
    outputs = layers.BatchNormalization()(frozen(image))
    frozen.trainable = False
    assert counted([outputs], image)[0][2] == 4 * 6 + 6 + 2 * 6


def test_a_shared_layer_works_twice_and_is_kept_once():
    image = keras.Input((8, 8, 4))
    shared = layers.Conv2D(4, 1, use_bias=False)
    once = shared(image)
    assert counted([once, shared(once)], image) == [
        (16 * 64, 0, 16),
        (2 * 16 * 64, 0, 16),
    ]


def test_an_exit_costs_all_exits_before_it():
    image = keras.Input((8, 8, 4))
    stem = layers.Conv2D(4, 1, use_bias=False)(image)
    aside = layers.Conv2D(2, 1, use_bias=False)(image)
    # The second exit needs nothing of the first but the stem; the third
    # nothing new but its own layer.
    first = layers.Dense(3)(layers.GlobalAveragePooling2D()(aside))
    second = layers.Dense(3)(layers.GlobalAveragePooling2D()(stem))
    third = layers.Dense(5, use_bias=False)(second)
    assert counted([first, second, third], image) == [
        (8 * 64 + 6, 2 * 64 + 3, 8 + 9),
        (8 * 64 + 6 + 16 * 64 + 12, 6 * 64 + 6, 8 + 9 + 16 + 15),
        (8 * 64 + 6 + 16 * 64 + 12 + 15, 6 * 64 + 6, 8 + 9 + 16 + 15 + 15),
    ]


def test_what_no_exit_needs_costs_nothing():
    image = keras.Input((8, 8, 4))
    logits = layers.Dense(3)(layers.Flatten()(image))
    layers.Conv2D(50, 3)(image)
    assert counted([logits], image) == [(256 * 3, 3, 257 * 3)]


def test_a_model_called_as_a_layer_costs_what_is_in_it():
    part = keras.Input((8, 8, 4))
    inner = keras.Model(
        part,
        layers.ReLU()(
            layers.BatchNormalization()(
                layers.Conv2D(4, 1, use_bias=False)(part)
            )
        ),
    )
    image = keras.Input((8, 8, 4))
    once = inner(image)
    assert counted([once, inner(once)], image) == [
        (16 * 64, 4 * 64, 16 + 8),
        (2 * 16 * 64, 2 * 4 * 64, 16 + 8),
    ]


def test_sequential_models_are_functional_too():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    [row] = cost.exit_costs(model)
    assert (row.madds, row.params) == (18, 21)


def test_feature_shape_is_what_enters_the_classifier():
    image = keras.Input((8, 8, 4))
    first = layers.Conv2D(6, 3, strides=2, padding="same")(image)
    x = layers.Conv2D(5, 1, name="exit_0_conv")(first)
    x = layers.GlobalAveragePooling2D(name="exit_0_pool")(x)
    named = layers.Dense(3, name="exit_0")(x)
    other = layers.Dense(3)(layers.Flatten()(first))
    rows = cost.exit_costs(keras.Model(image, [named, other]))
    assert rows[0].feature_shape == (4, 4, 6)
    # Without names to go by: what enters the last layer.
    assert rows[1].feature_shape == (96,)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("model", [Subclassed(), layers.Dense(3), None])
def test_only_functional_models(model):
    with pytest.raises(ValueError, match="`model`"):
        cost.exit_costs(model)


def test_only_fixed_sizes():
    image = keras.Input((None, 8, 4), name="photo")
    model = keras.Model(image, layers.Conv2D(3, 1)(image))
    with pytest.raises(ValueError, match=r"fixed size.*'photo'.*None, None, 8"):
        cost.exit_costs(model)
