import numpy as np
import pytest
from toy_exits import LABELS, LOGITS, chain, cross_entropy

from keras_dynamic import objectives


def test_it_sums_the_cross_entropies():
    loss = objectives.build("joint").loss(LABELS, LOGITS)
    assert loss.shape == ()
    expected = sum(map(cross_entropy, LOGITS))
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_it_weighs_them():
    weights = (0.5, 0.0, 2.0)
    loss = objectives.build("joint", weights=weights).loss(LABELS, LOGITS[:3])
    expected = np.dot(weights, [cross_entropy(each) for each in LOGITS[:3]])
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_large_logits_stay_finite():
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32)
    loss = objectives.build("joint").loss(np.array([0, 0]), [logits])
    assert float(loss) == pytest.approx(1e4)


def test_it_computes_in_float32():
    halves = [logits.astype(np.float16) for logits in LOGITS]
    loss = objectives.build("joint").loss(LABELS, halves)
    assert np.asarray(loss).dtype == np.float32
    expected = sum(cross_entropy(half.astype(np.float32)) for half in halves)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["joint", "boosted"])
@pytest.mark.parametrize("weights", [(1.0,), (1.0,) * 4, ()])
def test_a_wrong_number_of_weights_stops_the_set_up(name, weights):
    objective = objectives.build(name, weights=weights)
    with pytest.raises(ValueError, match=f"{len(weights)} weights for 3 exits"):
        objective.extend(chain(3))


def test_the_model_stays_as_it_is():
    model = chain()
    objective = objectives.build("joint")
    assert objective.extend(model) is model
    assert objective.taught(None) is None
