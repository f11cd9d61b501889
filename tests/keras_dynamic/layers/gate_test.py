import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_dynamic.layers import Gate

VALUES = np.array([-2.0, -0.1, 0.0, 0.3, 1.0, 1.1, 3.0], np.float32)


def gradient(layer, sign: float) -> np.ndarray:
    """Of `sign` times the sum of the scores; descent goes against it."""
    x = tf.constant(VALUES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = sign * tf.reduce_sum(layer(x))
    return tape.gradient(total, x).numpy()


@pytest.mark.parametrize("inward", [True, False])
def test_it_clamps_to_0_and_1(inward):
    found = np.asarray(Gate(inward)(VALUES))
    np.testing.assert_array_equal(found, np.clip(VALUES, 0, 1))


def test_scores_that_are_out_of_range_are_moved_back_in_only():
    layer = Gate()
    # Descent would lower all scores, then raise all.
    np.testing.assert_array_equal(gradient(layer, 1.0), [0, 0, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(
        gradient(layer, -1.0), [-1, -1, -1, -1, -1, 0, 0]
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_plain_clamp_has_no_gradient_out_of_range(sign):
    np.testing.assert_array_equal(
        gradient(Gate(inward_gradient=False), sign),
        sign * np.array([0, 0, 1, 1, 1, 0, 0]),
    )


@pytest.mark.parametrize("inward", [True, False])
def test_a_gate_closed_for_all_images_comes_back_with_inward_gradients(inward):
    images = np.random.default_rng(0).random((16, 3), np.float32)
    x = keras.Input((3,))
    score = keras.layers.Dense(
        1, bias_initializer=keras.initializers.Constant(-5.0)
    )(x)
    model = keras.Model(x, Gate(inward)(score))
    assert not np.asarray(model(images)).any()
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
    model.fit(images, np.full((16, 1), 0.5), epochs=20, verbose=0)
    assert np.asarray(model(images)).any() == inward


def test_a_saved_gate_comes_back(tmp_path):
    x = keras.Input((4,))
    gate = Gate(False, noise=(0.4, 0.2), annealing_steps=4, name="gate")
    model = keras.Model(x, gate(x))
    model(np.zeros((1, 4)), training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    gate = loaded.get_layer("gate")
    assert gate.inward_gradient is False
    assert gate.noise == (0.4, 0.2)
    assert float(gate.ramp.reached()) == 0.25


@pytest.mark.parametrize(("calls", "deviation"), [(0, 0.4), (2, 0.3), (9, 0.2)])
def test_noise_falls_and_is_there_in_training_only(calls, deviation):
    gate = Gate(noise=(0.4, 0.2), annealing_steps=4, seed=0)
    scores = np.full((100_000, 1), 0.2, np.float32)
    np.testing.assert_array_equal(gate(scores), scores)
    for _ in range(calls):
        gate(scores[:1], training=True)
    expected = scipy.stats.norm.cdf(0.2 / deviation)
    probability = np.asarray(gate.open_probability(scores))
    np.testing.assert_allclose(probability, expected, rtol=1e-5)
    drawn = np.asarray(gate(scores, training=True))
    assert np.mean(drawn > 0) == pytest.approx(expected, abs=0.01)


def test_each_image_has_its_own_noise_the_same_again_with_the_seed():
    def drawn():
        gate = Gate(noise=(0.1, 0.1), seed=3)
        return np.asarray(gate(np.full((8, 1), 0.5), training=True))

    assert len(np.unique(drawn())) == 8
    np.testing.assert_array_equal(drawn(), drawn())


@pytest.mark.parametrize(
    "noise", [(0.1,), (0.1, 0.2), (0.1, 0.0), (float("inf"), 0.1)]
)
def test_noise_must_be_two_falling_numbers(noise):
    with pytest.raises(ValueError, match="`noise`"):
        Gate(noise=noise)


def test_it_keeps_the_precision():
    found = Gate(dtype="bfloat16")(np.array([-1.0, 0.5, 2.0], np.float32))
    assert found.dtype == tf.bfloat16
    np.testing.assert_array_equal(np.asarray(found, np.float32), [0, 0.5, 1])
