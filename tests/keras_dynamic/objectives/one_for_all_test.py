import keras
import numpy as np
import pytest

from keras_dynamic import objectives
from keras_dynamic.training.trainer import Trainer
from tests.support.toy_exits import (
    IMAGES,
    LOGITS,
    chain,
    cross_entropy,
    divergence,
    loss,
    step,
)


@pytest.mark.parametrize(("gamma", "temperature"), [(0.1, 1.0), (0.9, 3.0)])
def test_the_loss_is_the_paper_s(gamma, temperature):
    taught, *logits = LOGITS
    expected = cross_entropy(logits[-1]) + sum(
        (1 - gamma) * cross_entropy(each)
        + gamma * temperature**2 * divergence(taught, each, temperature)
        for each in logits[:-1]
    )
    objective = objectives.build(
        "one_for_all", teacher=chain(), gamma=gamma, temperature=temperature
    )
    found = loss(objective, logits, taught)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_teacher_s_last_exit_teaches_in_inference_mode(tmp_path):
    teacher = chain(seed=1)
    expected = np.asarray(teacher(IMAGES, training=False)[-1])
    teacher.save(tmp_path / "teacher.keras")
    for given in (teacher, str(tmp_path / "teacher.keras")):
        objective = objectives.build("one_for_all", teacher=given)
        taught = np.asarray(objective.taught(IMAGES))
        np.testing.assert_allclose(taught, expected, rtol=1e-6)


def test_a_step_leaves_the_teacher():
    teacher, model = chain(seed=1), chain()
    before = teacher.get_weights()
    objective = objectives.build("one_for_all", teacher=teacher)
    logits = model(IMAGES, training=True)
    expected = loss(objective, logits, objective.taught(IMAGES))
    trained = chain()
    trainer = Trainer(trained, objective)
    assert step(trainer) == pytest.approx(float(expected), rel=1e-5)
    assert trainer.trainable_variables == trained.trainable_variables
    for ours, theirs in zip(teacher.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_frozen_backbone_is_the_teacher_s_and_stays():
    teacher, model = chain(seed=1), chain()
    objective = objectives.build(
        "one_for_all", teacher=teacher, frozen_backbone=True
    )
    trainer = Trainer(model, objective)
    expected = {w.path: np.asarray(w) for w in teacher.weights}
    for weight in model.weights:
        np.testing.assert_array_equal(np.asarray(weight), expected[weight.path])
    step(trainer)
    for weight in model.weights:
        same = np.array_equal(np.asarray(weight), expected[weight.path])
        assert same != weight.path.startswith("exit_"), weight.path


def test_classifiers_that_the_teacher_lacks_are_new():
    model = chain(3)
    fresh = model.get_layer("exit_2").get_weights()
    # A static network: the same blocks, and one exit of another name.
    blocks = chain(3, seed=1)
    static = keras.Model(
        blocks.input,
        keras.layers.Dense(3, name="logits")(
            blocks.get_layer("block2_bn").output
        ),
    )
    objective = objectives.build(
        "one_for_all", teacher=static, frozen_backbone=True
    )
    extended = objective.extend(model).model
    np.testing.assert_array_equal(
        extended.get_layer("exit_2").get_weights()[0], fresh[0]
    )
    np.testing.assert_array_equal(
        extended.get_layer("block1").get_weights()[0],
        blocks.get_layer("block1").get_weights()[0],
    )


def test_a_teacher_of_other_classes_stops_the_set_up():
    inputs = keras.Input((5,))
    teacher = keras.Model(inputs, keras.layers.Dense(4)(inputs))
    objective = objectives.build("one_for_all", teacher=teacher)
    with pytest.raises(ValueError, match=r"`teacher`"):
        objective.extend(chain())


def test_a_teacher_of_other_images_stops_the_set_up():
    inputs = keras.Input((6,))
    teacher = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    objective = objectives.build("one_for_all", teacher=teacher)
    with pytest.raises(ValueError, match=r"`teacher`"):
        objective.extend(chain())


def test_another_backbone_stops_the_set_up():
    objective = objectives.build(
        "one_for_all", teacher=chain(2), frozen_backbone=True
    )
    with pytest.raises(ValueError, match="'chain' without 2 of"):
        objective.extend(chain(3))
