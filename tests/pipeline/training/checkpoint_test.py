import dataclasses

import keras
import numpy as np
import pytest

from keras_dynamic.training.coupled_sgd import CoupledSGD
from pipeline.training import checkpoint

RNG = np.random.default_rng(0)
X = RNG.random((32, 4), np.float32)
Y = RNG.integers(0, 3, 32)
PROGRESS = checkpoint.Progress(
    epoch=2, best_epoch=1, best_accuracy=0.75, fingerprint="a"
)


def training(seed: int, width: int = 5) -> keras.Model:
    """Compiled, with moving statistics, dropout, momentum and a schedule."""
    keras.utils.set_random_seed(seed)
    features = keras.Input((4,))
    hidden = keras.layers.BatchNormalization()(
        keras.layers.Dense(width)(features)
    )
    hidden = keras.layers.Dropout(0.5)(hidden)
    model = keras.Model(features, keras.layers.Dense(3)(hidden))
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [3], [0.1, 0.01]
    )
    model.compile(
        optimizer=CoupledSGD(schedule),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)
    return model


def train(model: keras.Model, epochs: int) -> None:
    model.fit(X, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0)


def state(model: keras.Model) -> list[np.ndarray]:
    return [
        keras.ops.convert_to_numpy(each).copy()
        for each in (*model.weights, *model.optimizer.variables)
    ]


def assert_equal(first: list, second: list) -> None:
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_goes_on_as_if_never_stopped(tmp_path):
    path = tmp_path / "state.npz"
    model = training(0)
    train(model, 1)
    checkpoint.save(path, PROGRESS, model, model.optimizer)
    saved = state(model)

    again = training(1)
    progress = checkpoint.restore(path, "a", again, again.optimizer)
    assert progress == PROGRESS
    assert_equal(state(again), saved)

    # The learning rate falls on the way: the steps are counted on, too.
    train(model, 2)
    train(again, 2)
    assert_equal(state(again), state(model))
    assert not np.array_equal(state(model)[0], saved[0])


def test_another_fingerprint_is_ignored(tmp_path):
    path = tmp_path / "state.npz"
    model = training(0)
    checkpoint.save(path, PROGRESS, model, model.optimizer)
    again = training(1)
    before = state(again)
    progress = checkpoint.restore(path, "b", again, again.optimizer)
    assert progress == checkpoint.Progress(fingerprint="b")
    assert_equal(state(again), before)


def test_no_file_is_a_fresh_start(tmp_path):
    model = training(0)
    before = state(model)
    progress = checkpoint.restore(
        tmp_path / "none.npz", "a", model, model.optimizer
    )
    assert progress == checkpoint.Progress(0, 0, -1.0, "a")
    assert_equal(state(model), before)


def test_weights_alone(tmp_path):
    path = tmp_path / "best.npz"
    model, again = training(0), training(1)
    train(model, 1)
    checkpoint.save_weights(path, model)
    checkpoint.restore_weights(path, again)
    assert_equal(again.get_weights(), model.get_weights())


def test_saving_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "training" / "state.npz"
    model = training(0)
    for epoch in (1, 2):
        progress = checkpoint.Progress(epoch=epoch, fingerprint="a")
        checkpoint.save(path, progress, model, model.optimizer)
    restored = checkpoint.restore(path, "a", model, model.optimizer)
    assert restored.epoch == 2
    assert [each.name for each in path.parent.iterdir()] == ["state.npz"]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_damaged_file(tmp_path, share):
    path = tmp_path / "state.npz"
    model = training(0)
    checkpoint.save(path, PROGRESS, model, model.optimizer)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    before = state(model)
    with pytest.raises(ValueError, match=r"whole checkpoint.*state\.npz"):
        checkpoint.restore(path, "a", model, model.optimizer)
    assert_equal(state(model), before)


def test_weights_of_another_model(tmp_path):
    path = tmp_path / "state.npz"
    model, other = training(0), training(0, width=6)
    checkpoint.save(path, PROGRESS, model, model.optimizer)
    with pytest.raises(ValueError, match="checkpoint of this model; remove it"):
        checkpoint.restore(path, "a", other, other.optimizer)


def test_the_stage_is_known_before_there_is_a_model(tmp_path):
    path, model = tmp_path / "state.npz", training(0)
    assert checkpoint.stage(path, "a") == 0
    second = dataclasses.replace(PROGRESS, stage=1)
    checkpoint.save(path, second, model, model.optimizer)
    assert checkpoint.stage(path, "a") == 1
    assert checkpoint.stage(path, "b") == 0
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="`path`"):
        checkpoint.stage(path, "a")
