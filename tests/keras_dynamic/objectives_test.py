import numpy as np
import pytest

from keras_dynamic import objectives

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 5, 7)
LOGITS = [RNG.normal(0.0, 3.0, (7, 5)).astype(np.float32) for _ in range(3)]


def cross_entropy(logits: np.ndarray) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    totals = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(totals - shifted[np.arange(7), LABELS]))


def test_joint_sums_the_cross_entropies():
    expected = sum(cross_entropy(logits) for logits in LOGITS)
    loss = objectives.build("joint")(LABELS, LOGITS)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_joint_weighs_them():
    weights = (0.5, 0.0, 2.0)
    expected = sum(
        weight * cross_entropy(logits)
        for weight, logits in zip(weights, LOGITS, strict=True)
    )
    loss = objectives.build("joint", weights=weights)(LABELS, LOGITS)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_joint_stays_finite_for_large_logits():
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32)
    loss = objectives.build("joint")(np.array([0, 0]), [logits])
    assert float(loss) == pytest.approx(1e4)


def test_joint_computes_in_float32():
    halves = [logits.astype(np.float16) for logits in LOGITS]
    loss = objectives.build("joint")(LABELS, halves)
    assert np.asarray(loss).dtype == np.float32
    expected = sum(cross_entropy(half.astype(np.float32)) for half in halves)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("weights", [(1.0,), (1.0,) * 4, ()])
def test_joint_needs_a_weight_per_exit(weights):
    loss = objectives.build("joint", weights=weights)
    with pytest.raises(ValueError, match=f"{len(weights)} weights for 3 exits"):
        loss(LABELS, LOGITS)


def test_unknown_objective():
    with pytest.raises(ValueError, match=r"'joint'.*Received: name='sum'"):
        objectives.build("sum")


def test_arguments_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"`arguments` do not fit.*'joint'"):
        objectives.build("joint", weight=[1.0])
