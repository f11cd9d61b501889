import keras
import numpy as np
import pytest

from keras_dynamic.training import schedules
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
    theirs = keras.optimizers.schedules
    again = theirs.deserialize(theirs.serialize(schedule))
    np.testing.assert_array_equal(rates(again, 20), rates(schedule, 20))


@pytest.mark.parametrize("rise", [-1, 10, 11])
def test_the_rise_must_end_before_the_training(rise):
    with pytest.raises(ValueError, match="`rise`"):
        LinearRamp(0.1, steps=10, rise=rise)


def test_rates_of_the_papers_and_of_short_trainings():
    step = schedules.build("step", 0.1, 3000, milestones=(0.5, 0.75))
    found = [float(step(at)) for at in (5, 1495, 1505, 2245, 2255, 2995)]
    np.testing.assert_allclose(
        found, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-6
    )
    cosine = schedules.build("cosine", 0.1, 3000)
    found = [float(cosine(at)) for at in (0, 1500, 3000)]
    np.testing.assert_allclose(found, [0.1, 0.05, 0.0], atol=1e-7)
    linear = schedules.build("linear", 0.1, 3000, rise=0.2)
    found = [float(linear(at)) for at in (0, 299, 599, 600, 1800, 3000)]
    np.testing.assert_allclose(
        found, [0.1 / 600, 0.05, 0.1, 0.1, 0.05, 0.0], atol=1e-7
    )


def test_without_milestones_the_rate_stays():
    constant = schedules.build("step", 0.3, 20)
    np.testing.assert_allclose(rates(constant, 21), 0.3, rtol=1e-6)


@pytest.mark.parametrize("name", ["step", "cosine"])
def test_a_warm_up_reaches_the_schedule(name):
    plain = rates(schedules.build(name, 0.4, 20), 20)
    warm = schedules.build(name, 0.4, 20, warm_up=0.2)
    expected = plain * np.minimum(np.arange(1, 21) / 4, 1)
    np.testing.assert_allclose(rates(warm, 20), expected, rtol=1e-6)
    theirs = keras.optimizers.schedules
    again = theirs.deserialize(theirs.serialize(warm))
    np.testing.assert_array_equal(rates(again, 20), rates(warm, 20))


def test_a_schedule_that_does_not_exist():
    with pytest.raises(ValueError, match="`name`"):
        schedules.build("exponential", 0.1, 10)


def test_a_warm_up_has_steps():
    with pytest.raises(ValueError, match="`steps`"):
        schedules.WarmUp(LinearRamp(0.1, 4, 0), 0)
