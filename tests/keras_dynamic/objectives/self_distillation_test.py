import numpy as np
import pytest

from keras_dynamic import objectives
from keras_dynamic.objectives.cross_entropy import cross_entropy as ours
from tests.support.toy_exits import (
    LABELS,
    LOGITS,
    assert_same,
    chain,
    cross_entropy,
    divergence,
    gradients,
    loss,
)


@pytest.mark.parametrize(("alpha", "temperature"), [(0.1, 3.0), (0.7, 1.0)])
def test_the_loss_is_the_paper_s(alpha, temperature):
    expected = (1 - alpha) * sum(map(cross_entropy, LOGITS))
    expected += (
        alpha
        * temperature**2
        * sum(divergence(LOGITS[-1], each, temperature) for each in LOGITS[:-1])
    )
    objective = objectives.build(
        "self_distillation", alpha=alpha, temperature=temperature
    )
    found = loss(objective, LOGITS)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    assert np.asarray(found).dtype == np.float32


def test_the_last_exit_learns_from_the_labels_only():
    model = chain()
    objective = objectives.build("self_distillation", alpha=0.4)
    extended = objective.extend(model)
    found = gradients(
        extended.model, lambda logits: extended.loss(LABELS, logits)
    )
    expected = gradients(model, lambda logits: 0.6 * ours(LABELS, logits[-1]))
    assert_same(found, expected, lambda path: path.startswith("exit_2"))


def test_large_logits_stay_finite():
    logits = [np.array([[1e4, -1e4]], np.float32)] * 2
    objective = objectives.build("self_distillation")
    assert float(loss(objective, logits, labels=np.array([0]))) == 0.0


@pytest.mark.parametrize(
    "arguments",
    [{"alpha": -0.1}, {"alpha": 1.1}, {"temperature": 0.0}]
    + [{"alpha": float("nan")}, {"temperature": float("inf")}],
)
def test_numbers_out_of_range_are_named(arguments):
    with pytest.raises(ValueError, match=f"`{next(iter(arguments))}` must be"):
        objectives.build("self_distillation", **arguments)
