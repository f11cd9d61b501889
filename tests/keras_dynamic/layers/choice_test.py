import keras
import numpy as np
import pytest

from keras_dynamic.layers import Preference

LOGITS = np.random.default_rng(0).normal(0, 2, (64, 4)).astype(np.float32)


def test_it_is_a_difference_over_the_temperature():
    found = np.asarray(Preference(2, 0, temperature=0.25)(LOGITS))
    expected = 4 * (LOGITS[:, 2] - LOGITS[:, 0]) + 0.5
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_exchanged_it_is_what_is_left_to_1():
    one, other = (
        np.asarray(Preference(*pair)(LOGITS)) for pair in ((1, 3), (3, 1))
    )
    np.testing.assert_allclose(one + other, 1, atol=1e-5)


def test_it_is_the_plain_dense_layer():
    layer = Preference(3, 1, temperature=0.3)
    kernel, bias = map(np.asarray, layer.plain(4))
    np.testing.assert_allclose(
        np.asarray(layer(LOGITS)), LOGITS @ kernel + bias, rtol=1e-4, atol=1e-4
    )


def test_it_comes_back_from_its_configuration():
    layer = Preference(1, 0, 0.7, name="score")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("option", -1),
        ("option", 0.0),
        ("other", 1),
        ("temperature", 0),
        ("temperature", float("inf")),
    ],
)
def test_wrong_arguments(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        Preference(**{"option": 1, "other": 0} | {argument: value})
