import keras
import numpy as np
import pytest

from keras_dynamic import objectives
from keras_dynamic.graph import cost
from keras_dynamic.objectives.cross_entropy import cross_entropy as ours
from tests.support.toy_exits import (
    IMAGES,
    LABELS,
    assert_same,
    chain,
    cross_entropy,
    gradients,
)


def outputs(model: keras.Model, training: bool = False) -> list[np.ndarray]:
    return [np.asarray(each) for each in model(IMAGES, training=training)]


def ensembles(logits: list[np.ndarray], reweight: float) -> list[np.ndarray]:
    """z_n = f_n + reweight * z_{n-1}."""
    found = logits[:1]
    for each in logits[1:]:
        found.append(each + reweight * found[-1])
    return found


@pytest.mark.parametrize("reweight", [0.5, 1.0, 0.1])
@pytest.mark.parametrize("training", [True, False])
def test_the_exits_are_the_shrunk_ensembles(reweight, training):
    model = chain(4)
    expected = ensembles(outputs(model, training), reweight)
    objective = objectives.build("boosted", reweight=reweight)
    boosted = objective.extend(model).model
    assert len(boosted.outputs) == 4
    for z, theirs in zip(outputs(boosted, training), expected, strict=True):
        np.testing.assert_allclose(z, theirs, rtol=1e-5, atol=1e-6)


def test_the_loss_is_the_sum_over_the_ensembles():
    model = chain()
    weights = (1.0, 0.5, 2.0)
    expected = np.dot(
        weights, [cross_entropy(z) for z in ensembles(outputs(model), 0.5)]
    )
    extended = objectives.build("boosted", weights=weights).extend(model)
    loss = extended.loss(LABELS, extended.model(IMAGES))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("exit", [0, 1, 2])
def test_an_exit_s_loss_does_not_train_earlier_classifiers(exit):
    boosted = objectives.build("boosted").extend(chain()).model
    found = gradients(boosted, lambda z: ours(LABELS, z[exit]))
    for path, gradient in found.items():
        reached = path.startswith((f"exit_{exit}/", f"exit_{exit}_")) or any(
            path.startswith(f"block{block}") for block in range(exit + 1)
        )
        assert np.any(gradient) == reached, path


def test_gradients_are_those_with_the_previous_ensemble_as_a_constant():
    model = chain()
    constants = [0.0, *(0.5 * z for z in ensembles(outputs(model, True), 0.5))]
    extended = objectives.build("boosted").extend(model)
    expected = gradients(
        model,
        lambda logits: sum(
            ours(LABELS, f + constant)
            for f, constant in zip(logits, constants, strict=False)
        ),
    )
    found = gradients(extended.model, lambda z: extended.loss(LABELS, z))
    assert_same(found, expected)


def test_costs_and_features_are_those_of_the_plain_model():
    model = chain()
    boosted = objectives.build("boosted").extend(model).model
    assert cost.exit_costs(boosted) == cost.exit_costs(model)


def test_a_model_with_one_exit_is_itself():
    model = chain(1)
    boosted = objectives.build("boosted").extend(model).model
    np.testing.assert_array_equal(
        np.asarray(boosted(IMAGES)), np.asarray(model(IMAGES))
    )


@pytest.mark.parametrize("reweight", [0.0, -0.5, float("nan")])
def test_a_factor_that_is_not_positive(reweight):
    with pytest.raises(ValueError, match="`reweight`"):
        objectives.build("boosted", reweight=reweight)
