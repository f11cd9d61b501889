import keras
import numpy as np
import pytest

from keras_dynamic import objectives
from keras_dynamic.training.trainer import Trainer
from tests.support.toy_exits import (
    IMAGES,
    LABELS,
    LOGITS,
    chain,
    divergence,
    log_softmax,
    loss,
)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_exits_learn_the_last_one_s_probabilities(temperature):
    expected = temperature**2 * sum(
        divergence(LOGITS[-1], each, temperature) for each in LOGITS[:-1]
    )
    objective = objectives.build("layer_caching", temperature=temperature)
    assert float(loss(objective, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_or_its_class():
    classes = LOGITS[-1].argmax(axis=1)
    expected = -sum(
        np.mean(log_softmax(each)[np.arange(len(classes)), classes])
        for each in LOGITS[:-1]
    )
    objective = objectives.build("layer_caching", answer="hard")
    assert float(loss(objective, LOGITS)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("answer", ["soft", "hard"])
def test_labels_are_not_looked_at(answer):
    objective = objectives.build("layer_caching", answer=answer)
    first, second = (
        float(loss(objective, LOGITS, labels=labels))
        for labels in (LABELS, LABELS[::-1])
    )
    assert first == second


def test_the_last_exit_stays_to_the_last_bit():
    model = chain()
    before = [np.asarray(each) for each in model(IMAGES)]
    trainer = Trainer(
        model,
        objectives.build("layer_caching"),
        optimizer=keras.optimizers.AdamW(0.1, weight_decay=0.1),
    )
    for _ in range(3):
        trainer.train_on_batch(IMAGES, LABELS)
    *earlier, last = [np.asarray(each) for each in trainer.deployed()(IMAGES)]
    np.testing.assert_array_equal(last, before[-1])
    for ours, theirs in zip(earlier, before[:-1], strict=True):
        assert np.abs(ours - theirs).max() > 0.01


@pytest.mark.parametrize(
    "arguments", [{"answer": "loud"}, {"temperature": 0.0}]
)
def test_arguments_out_of_range_are_named(arguments):
    with pytest.raises(ValueError, match=f"`{next(iter(arguments))}` must be"):
        objectives.build("layer_caching", **arguments)


def test_one_exit_has_nobody_to_teach():
    with pytest.raises(ValueError, match="`model`"):
        objectives.build("layer_caching").extend(chain(1))
