import numpy as np
import pytest

from keras_dynamic import objectives
from keras_dynamic.objectives.survivors import reach_weights
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


def probabilities(logits):
    logits = np.asarray(logits, np.float64)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def expected_weights(outputs, stay, softness, floor):
    """Computes the weights image by image, as the docstring has them."""
    reach = np.ones(len(outputs[0]))
    rows = []
    for exit, logits in enumerate(outputs):
        raw = floor + (1 - floor) * reach
        rows.append(raw / raw.mean())
        if exit == len(stay):
            return rows
        sure = probabilities(logits).max(-1)
        goal, below = stay[exit] * reach.sum() * (1 - 1e-6), 0.0
        for image in np.argsort(sure):
            below += reach[image]
            if below >= goal:
                threshold = sure[image]
                break
        if softness:
            reach = reach / (1 + np.exp((sure - threshold) / softness))
        else:
            reach = reach * (sure <= threshold)
    raise AssertionError


def many(seed=0, images=64, exits=3):
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=(images, 5)).astype(np.float32) * (1 + exit)
        for exit in range(exits)
    ]


@pytest.mark.parametrize("softness", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_weights_are_those_of_a_loop(softness, floor):
    outputs, stay = many(), [0.6, 0.4]
    found = reach_weights(outputs, stay, softness, floor)
    expected = expected_weights(outputs, stay, softness, floor)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=2e-4)


def test_removal_leaves_the_asked_share_and_weights_have_mean_one():
    found = reach_weights(many(images=100), [0.5, 0.4], 0.0, 0.0)
    kept = [float(np.mean(np.asarray(each) > 0)) for each in found]
    assert kept == [1.0, 0.5, 0.2]
    for each in found:
        assert float(np.mean(np.asarray(each))) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(
    "arguments", [{"floor": 1.0}, {"stay": 1.0, "softness": 0.0}]
)
def test_with_all_weights_one_it_is_joint(arguments):
    model = chain(len(LOGITS))
    found, expected = (
        objective.extend(model)
        for objective in (
            objectives.build("survivors", **arguments),
            objectives.build("joint"),
        )
    )
    assert float(found.loss(LABELS, LOGITS)) == pytest.approx(
        float(expected.loss(LABELS, LOGITS)), rel=1e-6
    )
    assert_same(
        gradients(model, lambda logits: found.loss(LABELS, logits)),
        gradients(model, lambda logits: expected.loss(LABELS, logits)),
        lambda path: True,
    )


def test_distillation_is_self_distillation_where_weights_are_one():
    objective = objectives.build(
        "survivors", floor=1.0, alpha=0.4, temperature=2.0
    )
    expected = 0.6 * sum(map(cross_entropy, LOGITS)) + 0.4 * 4 * sum(
        divergence(LOGITS[-1], each, 2.0) for each in LOGITS[:-1]
    )
    assert float(loss(objective, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_weights_carry_no_gradient():
    model = chain(len(LOGITS))
    extended = objectives.build("survivors", stay=0.5).extend(model)
    found = gradients(
        model, lambda logits: extended.loss(LABELS, [*logits[:1], *LOGITS[1:]])
    )
    expected = gradients(
        model,
        lambda logits: (
            objectives.build("joint")
            .extend(model)
            .loss(LABELS, [*logits[:1], *LOGITS[1:]])
        ),
    )
    # The first exit's weights are 1; what it does to later ones' is no loss.
    assert_same(found, expected, lambda path: path.startswith("exit_0"))


@pytest.mark.parametrize(
    "arguments",
    [{"stay": 0.0}, {"stay": [0.5, 1.5]}, {"softness": -1.0}]
    + [{"softness": float("nan")}, {"floor": 1.1}, {"alpha": 2.0}],
)
def test_numbers_out_of_range_are_named(arguments):
    with pytest.raises(ValueError, match=f"`{next(iter(arguments))}` must"):
        objectives.build("survivors", **arguments)


def test_a_share_is_needed_per_exit_but_the_last():
    objective = objectives.build("survivors", stay=[0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match="`stay`"):
        objective.extend(chain())
