import keras
import numpy as np
import pytest

from keras_dynamic import objectives
from tests.support.toy_exits import (
    CLASSES,
    LABELS,
    LOGITS,
    chain,
    divergence,
    log_softmax,
    loss,
)


def smooth_cross_entropy(logits: np.ndarray, share: float) -> float:
    labels = np.full((len(LABELS), CLASSES), share / CLASSES)
    labels[np.arange(len(LABELS)), LABELS] += 1 - share
    return -np.mean(np.sum(labels * log_softmax(logits), axis=1))


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_every_exit_has_smoothed_labels(share):
    objective = objectives.label_smoothing(objectives.build("joint"), share)
    expected = sum(smooth_cross_entropy(each, share) for each in LOGITS)
    assert float(loss(objective, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_what_teaches_is_not_smoothed():
    plain = objectives.build("self_distillation", alpha=0.4, temperature=2.0)
    objective = objectives.label_smoothing(plain, 0.2)
    learned = sum(smooth_cross_entropy(each, 0.2) for each in LOGITS)
    taught = sum(divergence(LOGITS[-1], each, 2.0) for each in LOGITS[:-1])
    expected = 0.6 * learned + 0.4 * 2.0**2 * taught
    assert float(loss(objective, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_a_teacher_stays():
    x = keras.Input((5,), name="image")
    teacher = keras.Model(x, keras.layers.Dense(CLASSES)(x))
    plain = objectives.build("one_for_all", teacher=teacher)
    assert objectives.label_smoothing(plain, 0.1).teacher is teacher


def test_nothing_to_smooth_changes_nothing():
    plain = objectives.build("joint")
    assert objectives.label_smoothing(plain, 0.0) is plain


def test_the_model_is_the_objective_s():
    objective = objectives.label_smoothing(objectives.build("boosted"), 0.1)
    names = [layer.name for layer in objective.extend(chain()).model.layers]
    assert "exit_2_boosted" in names


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_out_of_range(share):
    with pytest.raises(ValueError, match="`label_smoothing`"):
        objectives.label_smoothing(objectives.build("joint"), share)
