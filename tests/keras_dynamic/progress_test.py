import keras
import numpy as np

from keras_dynamic import cost
from keras_dynamic.layers import Progress


def network(steps: int) -> keras.Model:
    x = keras.Input((3,))
    logits = keras.layers.Dense(2, name="exit_0")(x)
    return keras.Model(x, list(Progress(steps, name="progress")(logits)))


IMAGES = np.zeros((4, 3), np.float32)


def test_it_grows_by_one_step_per_call_in_training():
    model = network(4)
    found = [float(model(IMAGES, training=True)[1]) for _ in range(6)]
    assert found == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_the_input_is_passed_on():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for training in (False, True):
        layer = Progress(4, dtype="bfloat16")
        np.testing.assert_array_equal(layer(x, training=training)[0], x)


def test_outside_of_training_it_is_1_and_counts_nothing():
    model = network(4)
    assert float(model(IMAGES)[1]) == 1.0
    assert float(model(IMAGES, training=True)[1]) == 0.0


def test_a_saved_one_goes_on_where_it_was(tmp_path):
    model = network(4)
    model(IMAGES, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("progress").get_config()["steps"] == 4
    assert float(loaded(IMAGES, training=True)[1]) == 0.25


def test_the_counter_is_no_parameter():
    assert cost.exit_costs(network(4))[-1].params == 3 * 2 + 2
