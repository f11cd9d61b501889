import keras
import numpy as np
import pytest

from keras_dynamic.training.coupled_sgd import CoupledSGD

RNG = np.random.default_rng(0)


RATES = (0.1, 0.1, 0.01, 0.01, 0.001)


def steps_in_numpy(weight, gradients, momentum, decay, nesterov) -> np.ndarray:
    """torch.optim.SGD, as its documentation gives it, at RATES."""
    velocity = np.zeros_like(weight)
    for rate, gradient in zip(RATES, gradients, strict=True):
        gradient = gradient + decay * weight
        velocity = momentum * velocity + gradient
        change = gradient + momentum * velocity if nesterov else velocity
        weight = weight - rate * change
    return weight


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_steps_are_those_of_torch(momentum, decay, nesterov):
    shapes = [(3, 2), (4,)]
    starts = [RNG.normal(size=shape) for shape in shapes]
    gradients = [[RNG.normal(size=shape) for shape in shapes] for _ in RATES]
    variables = [keras.Variable(start, dtype="float32") for start in starts]
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [1, 3], [0.1, 0.01, 0.001]
    )
    optimizer = CoupledSGD(schedule, momentum, decay, nesterov)
    for each in gradients:
        tensors = [keras.ops.convert_to_tensor(g, "float32") for g in each]
        optimizer.apply(tensors, variables)
    for i, variable in enumerate(variables):
        expected = steps_in_numpy(
            starts[i],
            [each[i] for each in gradients],
            momentum,
            decay,
            nesterov,
        )
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(variable), expected, rtol=1e-5, atol=1e-6
        )


def test_decay_alone_shrinks_geometrically():
    variable = keras.Variable([2.0, -4.0])
    optimizer = CoupledSGD(0.1, 0.0, 0.5)
    for _ in range(3):
        optimizer.apply([keras.ops.zeros(2)], [variable])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(variable),
        np.array([2.0, -4.0]) * 0.95**3,
        rtol=1e-6,
    )


def test_serialized_with_its_decay():
    optimizer = CoupledSGD(0.2, 0.8, 0.003, nesterov=True)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, CoupledSGD)
    assert again.coupled_decay == 0.003
    assert again.momentum == 0.8
    assert again.nesterov
    assert float(again.learning_rate) == pytest.approx(0.2)


def test_negative_decay():
    with pytest.raises(ValueError, match=r"`coupled_decay`"):
        CoupledSGD(coupled_decay=-1)


@pytest.mark.parametrize("momentum", [-0.1, 1.0])
def test_momentum_out_of_range(momentum):
    with pytest.raises(ValueError, match=r"`momentum`"):
        CoupledSGD(momentum=momentum)


def test_decay_of_kernels_leaves_vectors_alone():
    kernel, bias = keras.Variable([[2.0], [-4.0]]), keras.Variable([2.0, -4.0])
    optimizer = CoupledSGD(0.1, 0.0, 0.5, decay_vectors=False)
    optimizer.apply(
        [keras.ops.zeros((2, 1)), keras.ops.zeros(2)], [kernel, bias]
    )
    np.testing.assert_allclose(kernel, [[1.9], [-3.8]], rtol=1e-6)
    np.testing.assert_array_equal(bias, [2.0, -4.0])


def test_the_average_follows_the_weights():
    start, gradients = RNG.normal(size=(3, 2)), RNG.normal(size=(30, 3, 2))
    plain, followed = (keras.Variable(start, dtype="float32") for _ in range(2))
    steps = CoupledSGD(0.1), CoupledSGD(0.1, average_decay=0.6)
    expected = np.zeros((3, 2))
    for step, each in enumerate(gradients):
        gradient = keras.ops.convert_to_tensor(each, "float32")
        for optimizer, variable in zip(steps, (plain, followed), strict=True):
            optimizer.apply([gradient], [variable])
        decay = min(0.6, step / (step + 10))
        expected = decay * expected + (1 - decay) * np.asarray(plain)
        [average] = steps[1].averages
        np.testing.assert_allclose(average, expected, rtol=1e-5, atol=1e-6)
    # The steps do not read it.
    np.testing.assert_array_equal(followed, plain)
    assert steps[0].averages == []


def test_serialized_with_what_it_averages_and_decays():
    optimizer = CoupledSGD(decay_vectors=False, average_decay=0.9)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.average_decay == 0.9
    assert not again.decay_vectors


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_average_decay_out_of_range(decay):
    with pytest.raises(ValueError, match=r"`average_decay`"):
        CoupledSGD(average_decay=decay)
