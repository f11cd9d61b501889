import keras
import numpy as np
import pytest

from keras_dynamic.training.schedules import LinearRamp


def rates(schedule, count: int) -> np.ndarray:
    return np.array([float(schedule(step)) for step in range(count)])


def test_it_rises_to_the_peak_and_falls_to_zero():
    found = rates(LinearRamp(0.4, steps=10, rise=4), 12)
    rising = [0.1, 0.2, 0.3, 0.4]
    falling = 0.4 * np.arange(6, 0, -1) / 6
    np.testing.assert_allclose(found, [*rising, *falling, 0, 0], rtol=1e-6)


def test_without_a_rise_it_begins_with_the_peak():
    found = rates(LinearRamp(0.2, steps=4, rise=0), 5)
    np.testing.assert_allclose(found, [0.2, 0.15, 0.1, 0.05, 0], rtol=1e-6)


def test_serialized_with_its_arguments():
    schedule = LinearRamp(0.3, steps=20, rise=5)
    schedules = keras.optimizers.schedules
    again = schedules.deserialize(schedules.serialize(schedule))
    np.testing.assert_array_equal(rates(again, 20), rates(schedule, 20))


@pytest.mark.parametrize("rise", [-1, 10, 11])
def test_the_rise_must_end_before_the_training(rise):
    with pytest.raises(ValueError, match="`rise`"):
        LinearRamp(0.1, steps=10, rise=rise)
