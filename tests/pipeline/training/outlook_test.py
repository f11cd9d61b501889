import keras
from absl import logging

from pipeline.training import outlook


def network() -> keras.Model:
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(3)(x))


def test_memory_is_that_of_weights_and_activations():
    weights = 3 * 3 * 3 * 4 + 4 + 4 * 3 + 3
    values = 6 * 6 * 4 + 4 + 3
    model = network()
    assert outlook.memory(model, 10) == 4 * (3 * weights + 10 * values)
    model.get_layer("conv").trainable = False
    left = weights - 112
    assert outlook.memory(model, 10) == 4 * (weights + 2 * left + 10 * values)


def test_images_and_steps_are_said(caplog):
    logging.set_verbosity(logging.INFO)
    model = network()
    outlook.say({"train": 500, "validation": 60}, 7, 64, model)
    assert "train 500, validation 60; 7 steps of 64" in caplog.text


def test_steps_pass_and_their_time_is_told_once(caplog):
    logging.set_verbosity(logging.INFO)
    assert list(outlook.timed(range(30), 30)) == list(range(30))
    assert caplog.text.count("s an epoch") == 1
    caplog.clear()
    assert list(outlook.timed(range(4), 4)) == list(range(4))
    assert not caplog.text
