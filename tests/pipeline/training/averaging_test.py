import keras
import numpy as np
import pytest

from keras_dynamic import objectives
from keras_dynamic.training import coupled_sgd
from keras_dynamic.training.trainer import Trainer
from pipeline.training import averaging

RNG = np.random.default_rng(0)
BATCHES = [
    (RNG.random((8, 6), np.float32), RNG.integers(0, 3, 8)) for _ in range(60)
]


def trained(average_decay: float) -> Trainer:
    """A small network with dropout, after some steps."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = keras.layers.Dense(5)(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9, name="bn")(x)
    x = keras.layers.Dropout(0.2, seed=1)(x)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    trainer = Trainer(model, objectives.build("joint"))
    optimizer = coupled_sgd.CoupledSGD(0.3, average_decay=average_decay)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    optimizer.build(trainer.trainable_variables)
    for images, labels in BATCHES[:20]:
        trainer.train_on_batch(images, labels)
    return trainer


def values(variables) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(each)) for each in variables]


def assert_equal(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_averages_stand_in_and_the_weights_come_back():
    trainer = trained(0.9)
    before = values(trainer.model.variables)
    averages = values(trainer.optimizer.averages)
    with averaging.averaged(trainer, BATCHES):
        assert_equal(values(trainer.trainable_variables), averages)
    assert_equal(values(trainer.model.variables), before)


def test_statistics_are_those_of_the_averaged_weights():
    trainer = trained(0.9)
    old = values([trainer.model.get_layer("bn").moving_mean])
    with averaging.averaged(trainer, BATCHES):
        dense, bn = trainer.model.layers[1:3]
        maps = np.concatenate([np.asarray(dense(x)) for x, _ in BATCHES])
        mean, variance = values([bn.moving_mean, bn.moving_variance])
    np.testing.assert_allclose(mean, maps.mean(0), atol=0.06)
    np.testing.assert_allclose(variance, maps.var(0), rtol=0.3)
    assert np.abs(old - maps.mean(0)).max() > 0.06


def test_layers_that_draw_draw_on_as_if_nothing_had_been():
    """So that a training goes on in the same bits."""
    ours, theirs = trained(0.9), trained(0.9)
    with averaging.averaged(ours, BATCHES):
        pass
    for trainer in (ours, theirs):
        trainer.train_on_batch(*BATCHES[-1])
    assert_equal(values(ours.model.variables), values(theirs.model.variables))


def test_they_come_back_after_an_error_too():
    trainer = trained(0.9)
    before = values(trainer.model.variables)
    with (
        pytest.raises(OSError, match="full"),
        averaging.averaged(trainer, BATCHES),
    ):
        raise OSError("full")
    assert_equal(values(trainer.model.variables), before)


def test_without_an_average_nothing_happens():
    trainer = trained(0.0)
    before = values(trainer.model.variables)
    with averaging.averaged(trainer, iter(())):
        assert_equal(values(trainer.model.variables), before)
