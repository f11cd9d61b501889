import keras
import numpy as np
import pytest

from keras_dynamic.layers import Ramp


class Blend(keras.layers.Layer):
    """Multiplies its input by a ramp, as a layer that holds one would."""

    def __init__(self, steps=4, **kwargs):
        super().__init__(**kwargs)
        self.ramp = Ramp(steps)

    def build(self, input_shape):
        self.ramp.build()

    def call(self, inputs, training=None):
        return inputs * self.ramp(training=training)


def test_grows_with_each_call_in_training_to_one():
    ramp = Ramp(4)
    values = [float(ramp(training=True)) for _ in range(6)]
    assert values == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert int(ramp.seen) == 4


def test_is_one_outside_of_training():
    ramp = Ramp(4)
    ramp(training=True)
    assert float(ramp(training=False)) == float(ramp()) == 1.0
    assert int(ramp.seen) == 1


def test_without_steps_it_is_one_at_once():
    assert float(Ramp(0)(training=True)) == 1.0


def test_counts_in_the_precision_of_its_own():
    ramp = Ramp(1000, dtype="mixed_bfloat16")
    ramp.build()
    ramp.seen.assign(999)
    assert float(ramp(training=True)) == pytest.approx(0.999)
    assert int(ramp.seen) == 1000


def test_fit_counts_every_batch_and_saving_keeps_the_count(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(Blend(name="b")(inputs)))
    assert not model.get_layer("b").trainable_weights
    model.compile(optimizer="sgd", loss="mse")
    model.fit(np.ones((6, 3)), np.ones((6, 1)), batch_size=2, verbose=0)
    model.predict(np.ones((6, 3)), verbose=0)
    assert int(model.get_layer("b").ramp.seen) == 3
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(
        tmp_path / "model.keras", custom_objects={"Blend": Blend}
    )
    assert int(loaded.get_layer("b").ramp.seen) == 3


@pytest.mark.parametrize("steps", [-1, 2.5, "3"])
def test_steps_that_are_no_number_of_steps(steps):
    with pytest.raises(ValueError, match="`steps`"):
        Ramp(steps)
