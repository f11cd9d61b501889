import keras
import numpy as np
import pytest

from keras_dynamic.layers import Score

RNG = np.random.default_rng(0)
# Channels that differ in mean and spread, as means over maps do.
IMAGES = (
    RNG.normal(0, [0.1, 1.0, 3.0], (256, 1, 1, 3)) + [0.5, -1.0, 4.0]
).astype(np.float32)


def standardized(images):
    deviation = np.sqrt(images.var((0, 1, 2)) + 1e-3)
    return (images - images.mean((0, 1, 2))) / deviation


def test_in_training_channels_are_standardized_over_the_batch():
    layer = Score(2, bias_initializer="ones")
    found = np.asarray(layer(IMAGES, training=True))
    kernel = np.asarray(layer.kernel)[0, 0]
    expected = standardized(IMAGES)[:, 0, 0] @ kernel + 1
    np.testing.assert_allclose(found[:, 0, 0], expected, atol=1e-4)


def test_otherwise_by_moving_averages():
    layer = Score(2)
    for _ in range(200):
        taught = layer(IMAGES, training=True)
    np.testing.assert_allclose(layer(IMAGES), taught, atol=1e-4)
    np.testing.assert_allclose(
        layer.moving_mean, IMAGES.mean((0, 1, 2)), rtol=1e-4
    )


def test_scores_have_the_spread_at_first():
    keras.utils.set_random_seed(0)
    images = RNG.normal(0, 1, (4096, 1, 1, 64)).astype(np.float32)
    found = np.asarray(Score(32, spread=0.3)(images, training=True))
    assert found.std(0).mean() == pytest.approx(0.3, rel=0.1)


def test_a_plain_convolution_does_the_same():
    layer = Score(2, bias_initializer="ones")
    for _ in range(20):
        layer(IMAGES, training=True)
    kernel, bias = layer.plain()
    np.testing.assert_allclose(
        keras.ops.conv(IMAGES, kernel) + bias, layer(IMAGES), atol=1e-4
    )


def test_a_saved_one_comes_back(tmp_path):
    x = keras.Input((1, 1, 3))
    model = keras.Model(x, Score(2, spread=0.2, epsilon=1e-2)(x))
    model(IMAGES, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))
    assert loaded.layers[1].spread == 0.2
    assert loaded.layers[1].epsilon == 1e-2
