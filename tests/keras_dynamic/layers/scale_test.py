import keras
import numpy as np
import pytest

from keras_dynamic.layers import Bias, Multiple

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def test_a_fixed_multiple():
    layer = Multiple(0.5)
    np.testing.assert_array_equal(np.asarray(layer(X)), X / 2)
    assert layer.weights == []


def test_a_learned_multiple_starts_near_its_factor():
    keras.utils.set_random_seed(0)
    drawn = []
    for _ in range(200):
        layer = Multiple(0.5, learned=True)
        layer.build((None, 3))
        drawn.append(float(layer.log_ratio))
    assert np.std(drawn) == pytest.approx(0.01, rel=0.2)
    assert abs(np.mean(drawn)) < 0.003


def test_a_learned_multiple_multiplies_by_the_exponential():
    layer = Multiple(0.5, learned=True)
    layer.build((None, 3))
    layer.log_ratio.assign(np.log(3.0))
    np.testing.assert_allclose(np.asarray(layer(X)), 1.5 * X, rtol=1e-6)


def test_a_bias_is_added_to_each_channel():
    layer = Bias()
    np.testing.assert_array_equal(np.asarray(layer(X)), X)
    layer.bias.assign([1.0, 2.0, 3.0])
    np.testing.assert_allclose(np.asarray(layer(X)), X + [1.0, 2.0, 3.0])


def test_saved_layers_come_back(tmp_path):
    x = keras.Input((3,))
    outputs = Bias()(Multiple(0.25, learned=True)(Multiple(2.0)(x)))
    model = keras.Model(x, outputs)
    model.set_weights([np.float32(0.7), np.arange(3, dtype=np.float32)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(loaded(X)), np.asarray(model(X)))


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_factor_that_is_not_positive(factor):
    with pytest.raises(ValueError, match="`factor`"):
        Multiple(factor)
