import keras
import numpy as np
import pytest

from keras_dynamic.layers import BasisCoefficients

SCORES = np.random.default_rng(0).normal(size=(200, 12)).astype(np.float32)


def vectors(layer, **options) -> np.ndarray:
    """The coefficients [vector, image, basis] of `SCORES`."""
    return np.stack([np.asarray(each) for each in layer(SCORES, **options)])


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_softmax_of_each_vector():
    found = vectors(BasisCoefficients(4, 3, temperature=2.0))
    assert found.shape == (3, 200, 4)
    for vector in range(3):
        mine = SCORES[:, 4 * vector : 4 * vector + 4]
        np.testing.assert_allclose(found[vector], softmax(mine / 2), rtol=1e-5)


def test_sigmoid_of_each_score():
    [found] = vectors(BasisCoefficients(12, activation="sigmoid"))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-SCORES)), rtol=1e-5)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_training_starts_from_equal_coefficients(activation):
    layer = BasisCoefficients(4, 3, activation=activation, blend_steps=2)
    begun, halfway, done = (vectors(layer, training=True) for _ in range(3))
    np.testing.assert_allclose(begun, 0.25)
    np.testing.assert_allclose(halfway, (begun + done) / 2, rtol=1e-5)
    np.testing.assert_allclose(done, vectors(layer), rtol=1e-5)


def test_dropout_leaves_out_a_basis_of_all_vectors_at_once():
    layer = BasisCoefficients(4, 3, dropout=0.3, seed=0)
    found = vectors(layer, training=True)
    left = found > 0
    assert (left == left[0]).all()
    assert 0.6 < left.mean() < 0.8
    np.testing.assert_allclose(found.sum(-1), 1.0, rtol=1e-5)
    # The others keep their proportions.
    whole = vectors(layer) * left
    np.testing.assert_allclose(
        found, whole / whole.sum(-1, keepdims=True), rtol=1e-4
    )
    assert not np.array_equal(left, vectors(layer, training=True) > 0)
    assert (vectors(layer) > 0).all()


def test_dropped_sigmoids_are_made_up_for():
    layer = BasisCoefficients(12, activation="sigmoid", dropout=0.5, seed=0)
    [found], [whole] = vectors(layer, training=True), vectors(layer)
    left = found > 0
    np.testing.assert_allclose(
        found, whole * left * 12 / left.sum(-1, keepdims=True), rtol=1e-5
    )


def test_some_basis_is_always_left():
    layer = BasisCoefficients(2, 6, dropout=0.9, seed=0)
    found = vectors(layer, training=True)
    np.testing.assert_allclose(found.sum(-1), 1.0, rtol=1e-5)
    # Images that would have lost both keep both.
    assert (found > 0).all(axis=-1).mean() == pytest.approx(0.82, abs=0.1)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_dropout_and_blend_together_start_equal_too(activation):
    layer = BasisCoefficients(
        4, 3, activation=activation, dropout=0.5, blend_steps=10, seed=0
    )
    found = vectors(layer, training=True)
    count = (found > 0).sum(-1, keepdims=True)
    np.testing.assert_allclose(found, (found > 0) / count, rtol=1e-5)


def test_saved_layer_comes_back(tmp_path):
    inputs = keras.Input((12,))
    layer = BasisCoefficients(
        4, 3, activation="sigmoid", temperature=3.0, dropout=0.1, blend_steps=5
    )
    model = keras.Model(inputs, layer(inputs))
    layer.ramp.seen.assign(2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = loaded.get_layer(layer.name)
    assert again.get_config() == layer.get_config()
    assert int(again.ramp.seen) == 2
    np.testing.assert_array_equal(vectors(again), vectors(layer))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bases": 0}, "`bases` must be a positive integer.*bases=0"),
        ({"vectors": 0}, "`vectors` must be a positive integer.*vectors=0"),
        ({"activation": "relu"}, "`activation` must be one of .*'relu'"),
        ({"temperature": 0.0}, "`temperature` must be a finite .*=0.0"),
        ({"blend_steps": -1}, "`blend_steps` must be an integer.*=-1"),
        ({"dropout": 1.0}, "`dropout` must be at least 0 and below 1.*=1.0"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        BasisCoefficients(**{"bases": 4} | changes)


def test_scores_for_every_vector():
    with pytest.raises(ValueError, match=r"12 scores, 4 for each of 3"):
        BasisCoefficients(4, 3)(np.ones((2, 11)))
