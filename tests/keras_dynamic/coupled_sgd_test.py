import keras
import numpy as np
import pytest

from keras_dynamic.sgd import CoupledSGD

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
    with pytest.raises(ValueError, match=r"`coupled_decay`.*coupled_decay=-1"):
        CoupledSGD(coupled_decay=-1)


@pytest.mark.parametrize("momentum", [-0.1, 1.0])
def test_momentum_out_of_range(momentum):
    with pytest.raises(ValueError, match=r"`momentum`.*momentum="):
        CoupledSGD(momentum=momentum)
