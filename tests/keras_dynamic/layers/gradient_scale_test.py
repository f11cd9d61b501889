import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_dynamic.layers import GradientScale


@given(
    arrays.arrays(
        np.float32, (2, 3), elements=st.floats(-(2.0**99), 2.0**99, width=32)
    ),
    st.floats(0, 100),
    st.booleans(),
)
def test_forward_is_the_input_to_the_bit(values, factor, training):
    layer = GradientScale(factor)
    outputs = np.asarray(layer(values, training=training))
    np.testing.assert_array_equal(outputs, values)


@pytest.mark.parametrize("factor", [0.0, 0.25, 1.0, 3.0])
def test_the_gradient_is_multiplied(factor):
    x = tf.Variable([[1.0, -2.0, 3.0]])
    layer = GradientScale(factor)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x, training=True) ** 2)
    gradient = tape.gradient(loss, x, unconnected_gradients="zero")
    np.testing.assert_allclose(gradient, factor * 2 * x.numpy(), rtol=1e-6)


def test_outside_of_training_it_is_nothing():
    x = keras.ops.ones((2, 3))
    assert GradientScale(0.5)(x, training=False) is x


def test_mixed_precision_leaves_the_input_its_own():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = GradientScale(0.5)
    finally:
        keras.config.set_dtype_policy("float32")
    for dtype in ("float32", "bfloat16"):
        x = keras.ops.ones((2, 3), dtype)
        outputs = layer(x, training=True)
        assert keras.backend.standardize_dtype(outputs.dtype) == dtype


def test_a_saved_layer_comes_back(tmp_path):
    x = keras.Input((3,))
    model = keras.Model(x, GradientScale(0.25, name="scale")(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("scale").factor == 0.25


@pytest.mark.parametrize("factor", [-1.0, float("nan"), float("inf")])
def test_a_factor_that_is_none(factor):
    with pytest.raises(ValueError, match="`factor`"):
        GradientScale(factor)
