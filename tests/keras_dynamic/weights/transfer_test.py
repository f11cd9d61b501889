import keras
import numpy as np
import pytest

from keras_dynamic.weights import transfer


def network(widths: dict[str, int]) -> keras.Model:
    x = inputs = keras.Input((3,))
    for name, width in widths.items():
        x = keras.layers.Dense(width, name=name)(x)
    return keras.Model(inputs, keras.layers.ReLU(name="relu")(x), name="net")


def test_weights_go_by_name():
    source = network({"a": 4, "b": 5, "c": 6})
    target = network({"b": 4, "c": 6})
    before = target.get_layer("b").get_weights()
    transfer.copy_weights(
        network({"b": 4, "x": 5}), [target.get_layer("b"), target.layers[-1]]
    )
    assert not np.array_equal(before[0], target.get_layer("b").get_weights()[0])
    with pytest.raises(ValueError, match=r"same shapes.*'b'"):
        transfer.copy_weights(source, target.layers)


def test_a_missing_layer_is_named_and_nothing_is_copied():
    source, target = network({"a": 4}), network({"a": 4, "b": 2})
    before = target.get_weights()
    with pytest.raises(ValueError, match=r"'net' without 1 of 2.*'b'"):
        transfer.copy_weights(source, target.layers)
    for ours, theirs in zip(target.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
