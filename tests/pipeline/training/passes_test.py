import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_dynamic import objectives
from keras_dynamic.training import coupled_sgd
from keras_dynamic.training.trainer import Trainer
from pipeline.data import augmentation, batches, dataset
from pipeline.processes.group import Member
from pipeline.training import passes
from tests.support import prepared_data

PIXELS, NUMBERS = prepared_data.images(50, side=6)
IMAGES = dataset.Images(PIXELS, NUMBERS % 3, ("",) * 50)


@pytest.fixture(autouse=True)
def no_generator_data_sets(monkeypatch):
    """Their kernel undoes what `pipeline.processes.memory` sets."""

    def refuse(*_, **__):
        raise AssertionError("a tf.data generator was made")

    monkeypatch.setattr(tf.data.Dataset, "from_generator", refuse)


def network(size=6) -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input((size, size, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(images)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    shallow = keras.layers.Dense(3)(keras.layers.GlobalMaxPooling2D()(x))
    deep = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    return keras.Model(images, [shallow, deep])


def trainer(objective=None) -> Trainer:
    wrapped = Trainer(network(), objective or objectives.build("joint"))
    wrapped.compile(optimizer=coupled_sgd.CoupledSGD(0.1), jit_compile=False)
    # Variables that a step creates have it traced again.
    wrapped.optimizer.build(wrapped.trainable_variables)
    return wrapped


def epoch(**place):
    return batches.shuffled(
        IMAGES,
        batches.Order(50, 8, seed=0),
        epoch=0,
        augmentation=augmentation.get("none", size=6),
        **place,
    )


def test_a_pass_takes_every_step_and_averages_over_them():
    ours, expected = trainer(), trainer()
    means = passes.train(ours, epoch(), 6)
    steps = [
        expected.train_on_batch(*batch, return_dict=True) for batch in epoch()
    ]
    assert set(means) == {"loss", "accuracy_0", "accuracy_1"}
    for name, mean in means.items():
        assert isinstance(mean, float)
        assert mean == pytest.approx(np.mean([step[name] for step in steps]))
    for one, other in zip(
        ours.get_weights(), expected.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_each_pass_has_its_own_averages():
    wrapped = trainer()
    passes.train(wrapped, epoch(stop=4), 4)
    weights = wrapped.get_weights()
    last = passes.train(wrapped, epoch(start=4, stop=5), 1)
    wrapped.set_weights(weights)
    (batch,) = epoch(start=4, stop=5)
    again = wrapped.train_on_batch(*batch, return_dict=True)
    assert last["loss"] == pytest.approx(again["loss"])


def test_a_loss_that_is_not_finite_stays_so_in_the_average():
    wrapped = trainer()
    images, labels = next(epoch())
    bad = (images * np.float32(np.nan), labels)
    means = passes.train(wrapped, iter([(images, labels), bad, bad]), 3)
    assert not np.isfinite(means["loss"])


def test_the_step_is_traced_once():
    traced = []

    def extend(model):
        joint = objectives.build("joint").extend(model)

        def loss(labels, outputs, taught=None):
            traced.append(labels.shape)
            return joint.loss(labels, outputs, taught)

        return objectives.Extended(joint.model, loss)

    wrapped = trainer(objectives.Objective(extend))
    for start in (0, 4):
        passes.train(wrapped, epoch(start=start, stop=start + 2), 2)
    assert len(traced) == 1


@pytest.mark.parametrize("batch", [7, 25, 256])
@pytest.mark.parametrize("size", [6, 4])
def test_predictions_are_those_of_every_image(monkeypatch, batch, size):
    monkeypatch.setattr(passes, "_BATCH", batch)
    model = network(size)
    model.jit_compile = False
    shapes = set()
    step = model.predict_on_batch
    model.predict_on_batch = lambda x: shapes.add(x.shape) or step(x)
    said = passes.predict(model, IMAGES, size)
    start = (6 - size) // 2
    window = slice(start, start + size)
    pixels = PIXELS[:, window, window].astype(np.float32) / 255
    expected = np.stack(model(pixels, training=False))
    assert said.logits.dtype == np.float32
    np.testing.assert_allclose(said.logits, expected, atol=1e-5)
    np.testing.assert_array_equal(said.labels, IMAGES.labels)
    # One shape, so one trace.
    assert shapes == {(min(batch, 50), size, size, 3)}


@pytest.mark.parametrize("count", [2, 3])
def test_members_read_what_one_would(monkeypatch, count):
    monkeypatch.setattr(passes, "_BATCH", 16)
    seen = []

    class Model:
        def predict_on_batch(self, pixels):
            seen[-1].append(pixels)
            return np.zeros((len(pixels), 3))

    for number in range(count):
        seen.append([])
        passes.predict(Model(), IMAGES, 6, Member(number, count))
    steps = zip(*seen, strict=True)
    whole = np.concatenate([np.concatenate(step) for step in steps])
    np.testing.assert_array_equal(whole[:50], PIXELS.astype(np.float32) / 255)
    assert not whole[50:].any()
