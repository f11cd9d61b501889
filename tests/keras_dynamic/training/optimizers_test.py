import keras
import numpy as np
import pytest

from keras_dynamic.training import optimizers
from keras_dynamic.training.optimizers import Optimization

RNG = np.random.default_rng(0)
GRADIENTS = RNG.normal(size=(20, 3, 2)).astype(np.float32)


def value(variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).copy()


def steps(optimizer) -> list[np.ndarray]:
    """Takes steps with one kernel; returns what it is after each."""
    kernel, passed = keras.Variable(np.ones((3, 2)), dtype="float32"), []
    for each in GRADIENTS:
        optimizer.apply([keras.ops.convert_to_tensor(each)], [kernel])
        passed.append(value(kernel))
    return passed


@pytest.mark.parametrize("name", optimizers.names())
def test_every_optimizer_steps_averages_and_clips(name):
    settings = Optimization(
        optimizer=name, learning_rate=0.01, average_decay=0.6, clip_norm=0.5
    )
    optimizer = optimizers.build(settings, len(GRADIENTS))
    assert optimizer.global_clipnorm == 0.5
    expected = np.zeros((3, 2))
    for step, kernel in enumerate(steps(optimizer)):
        decay = min(0.6, step / (step + 10))
        expected = decay * expected + (1 - decay) * kernel
    assert np.isfinite(kernel).all()
    assert not np.array_equal(kernel, np.ones((3, 2)))
    [average] = optimizer.averages
    np.testing.assert_allclose(value(average), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", optimizers.names())
@pytest.mark.parametrize("on", ["all", "kernels"])
def test_decay_spares_vectors_if_told_to(name, on):
    settings = Optimization(
        optimizer=name,
        learning_rate=0.1,
        weight_decay=0.5,
        weight_decay_on=on,
        average_decay=0.9,
    )
    plain = Optimization(**{**vars(settings), "weight_decay": 0.0})
    ends = []
    for each in (settings, plain):
        variables = [keras.Variable(np.ones(n)) for n in ((2, 2), (2,))]
        optimizer = optimizers.build(each, 3)
        gradients = [keras.ops.full(v.shape, 0.01) for v in variables]
        optimizer.apply(gradients, variables)
        ends.append([value(v) for v in variables])
    decayed, undecayed = ends
    assert not np.allclose(decayed[0], undecayed[0], atol=1e-6)
    assert np.allclose(decayed[1], undecayed[1], atol=1e-6) == (on == "kernels")


def test_adamw_is_that_of_keras():
    settings = Optimization(
        optimizer="adamw",
        optimizer_arguments={"beta_1": 0.8},
        learning_rate=0.01,
        weight_decay=0.1,
    )
    theirs = keras.optimizers.AdamW(0.01, weight_decay=0.1, beta_1=0.8)
    found, expected = steps(optimizers.build(settings, 99)), steps(theirs)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_without_more_it_is_the_papers_sgd():
    settings = Optimization(weight_decay=5e-4, nesterov=True, momentum=0.8)
    optimizer = optimizers.build(settings, 10)
    assert isinstance(optimizer, optimizers.CoupledSGD)
    assert optimizer.coupled_decay == 5e-4
    assert optimizer.nesterov
    assert optimizer.momentum == 0.8
    assert optimizer.decay_vectors
    assert optimizer.global_clipnorm is None


@pytest.mark.parametrize(
    ("settings", "argument"),
    [
        ({"optimizer": "adamx"}, "a"),
        ({"optimizer_arguments": {"beta_1": 0.9}}, "a_arguments"),
        ({"optimizer_arguments": {"momentum": 0.9}}, "a_arguments"),
        (
            {"optimizer": "adam", "optimizer_arguments": {"beta": 1}},
            "a_arguments",
        ),
    ],
)
def test_what_does_not_exist_is_named(settings, argument):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        optimizers.build(Optimization(**settings), 10, ("a", "a_arguments"))
