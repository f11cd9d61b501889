import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dynamic.models.blocks import inverted_residual


def block(**changes) -> keras.Model:
    image = keras.Input((8, 8, 8))
    arguments = {
        "expanded": 16,
        "kernel_size": 3,
        "strides": 1,
        "activation": "relu6",
        "name": "block",
    }
    filters = changes.pop("filters", 8)
    outputs = inverted_residual.inverted_residual(
        image, filters, **arguments | changes
    )
    return keras.Model(image, outputs)


def names(model: keras.Model) -> list[str]:
    return [layer.name.removeprefix("block_") for layer in model.layers[1:]]


EXPAND = ["expand_conv", "expand_bn", "expand_relu"]
DEPTHWISE = ["depthwise_conv", "depthwise_bn", "depthwise_relu"]
PROJECT = ["project_conv", "project_bn"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, EXPAND + DEPTHWISE + PROJECT + ["add"]),
        ({"expanded": 8}, DEPTHWISE + PROJECT + ["add"]),
        ({"filters": 16}, EXPAND + DEPTHWISE + PROJECT),
        ({"strides": 2}, EXPAND + DEPTHWISE + PROJECT),
    ],
)
def test_layers_of_a_block(changes, expected):
    assert names(block(**changes)) == expected


def test_the_last_convolution_is_linear_and_the_input_is_added():
    model = block()
    batch = np.random.default_rng(0).random((3, 8, 8, 8), np.float32)
    change = keras.Model(
        model.input, model.get_layer("block_project_bn").output
    )
    narrow = np.asarray(change(batch))
    assert (narrow < 0).any()
    np.testing.assert_allclose(model(batch), batch + narrow, rtol=1e-6)


def test_relu6_is_cut_off_at_6():
    x = keras.Input((5,))
    model = keras.Model(x, inverted_residual.activate(x, "relu6", name="a"))
    np.testing.assert_array_equal(
        model(np.float32([[-1, 0, 3, 6, 9]])), [[0, 0, 3, 6, 6]]
    )


def test_hard_swish_as_in_the_paper():
    x = keras.Input((101,))
    model = keras.Model(
        x, inverted_residual.activate(x, "hard_swish", name="a")
    )
    values = np.linspace(-8, 8, 101, dtype=np.float32)[None]
    expected = values * np.clip(values + 3, 0, 6) / 6
    np.testing.assert_allclose(model(values), expected, atol=1e-6)


def test_squeeze_excite_weighs_channels_by_their_means():
    x = keras.Input((4, 4, 6))
    model = keras.Model(
        x, inverted_residual.squeeze_excite(x, 3, name="squeeze")
    )
    keras.utils.set_random_seed(0)
    batch = np.random.default_rng(0).normal(size=(2, 4, 4, 6))
    weights = [np.asarray(w) for w in model.weights]
    assert [w.shape for w in weights] == [
        (1, 1, 6, 3),
        (3,),
        (1, 1, 3, 6),
        (6,),
    ]
    inner = np.maximum(batch.mean((1, 2)) @ weights[0][0, 0] + weights[1], 0)
    gates = np.clip(inner @ weights[2][0, 0] + weights[3] + 3, 0, 6) / 6
    np.testing.assert_allclose(
        model(batch.astype(np.float32)), batch * gates[:, None, None], atol=1e-5
    )


@given(st.floats(0.1, 5000))
def test_rounded_widths_divide_by_8_and_lose_no_tenth(channels):
    found = inverted_residual.rounded(channels)
    assert found % 8 == 0
    assert found >= max(8, 0.9 * channels)
    assert found <= max(8, channels + 8)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(1, 8), (11.2, 16), (12, 16), (18, 24), (33.6, 32), (44.8, 48), (72, 72)],
)
def test_rounded_as_the_authors_do(channels, expected):
    assert inverted_residual.rounded(channels) == expected


@pytest.mark.parametrize(
    ("downsampling", "expected"),
    [
        (32, [2, 1, 2, 2, 2, 1, 2, 1]),
        (16, [1, 1, 2, 2, 2, 1, 2, 1]),
        (8, [1, 1, 1, 2, 2, 1, 2, 1]),
        (1, [1, 1, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_the_first_strides_are_left_out(downsampling, expected):
    strides = [2, 1, 2, 2, 2, 1, 2, 1]
    assert inverted_residual.strides_for(downsampling, strides) == expected
