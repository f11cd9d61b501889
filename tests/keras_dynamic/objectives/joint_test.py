import numpy as np
import pytest

from keras_dynamic import objectives
from tests.support.toy_exits import LOGITS, chain, cross_entropy, loss


def test_it_sums_the_cross_entropies():
    found = loss(objectives.build("joint"), LOGITS)
    assert found.shape == ()
    expected = sum(map(cross_entropy, LOGITS))
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_it_weighs_them():
    weights = (0.5, 0.0, 2.0)
    found = loss(objectives.build("joint", weights=weights), LOGITS[:3])
    expected = np.dot(weights, [cross_entropy(each) for each in LOGITS[:3]])
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_large_logits_stay_finite():
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32)
    joint = objectives.build("joint")
    found = loss(joint, [logits], labels=np.array([0, 0]))
    assert float(found) == pytest.approx(1e4)


def test_it_computes_in_float32():
    halves = [logits.astype(np.float16) for logits in LOGITS]
    found = loss(objectives.build("joint"), halves)
    assert np.asarray(found).dtype == np.float32
    expected = sum(cross_entropy(half.astype(np.float32)) for half in halves)
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["joint", "boosted"])
@pytest.mark.parametrize("weights", [(1.0,), (1.0,) * 4, ()])
def test_a_wrong_number_of_weights_stops_the_set_up(name, weights):
    objective = objectives.build(name, weights=weights)
    with pytest.raises(ValueError, match=f"{len(weights)} weights for 3 exits"):
        objective.extend(chain(3))


def test_the_model_stays_as_it_is():
    model = chain()
    objective = objectives.build("joint")
    assert objective.extend(model).model is model
    assert objective.taught(None) is None


def test_weights_by_cost_are_shares_of_the_last_exit_s():
    # Multiply-adds of the blocks and classifiers of `chain`, added up.
    madds = np.cumsum([5 * 6 + 6 * 4 + 4 * 3, *2 * [6 * 6 + 6 * 4 + 4 * 3]])
    found = loss(objectives.build("joint", weights="cost"), LOGITS[:3])
    expected = np.dot(
        madds / madds[-1], [cross_entropy(each) for each in LOGITS[:3]]
    )
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_another_word_than_cost():
    with pytest.raises(ValueError, match="`weights`"):
        objectives.build("joint", weights="costs")
