import numpy as np
import pytest

from keras_dynamic import objectives
from keras_dynamic.objectives.negative_correlation import disagreement
from tests.support.toy_exits import IMAGES, LABELS, chain, gradients


def reference(labels, members, weight):
    """Equation 8 in numpy, with one probability per image and member."""
    shifted = [each - each.max(axis=-1, keepdims=True) for each in members]
    p = np.array(
        [
            (np.exp(each) / np.exp(each).sum(-1, keepdims=True))[
                np.arange(len(labels)), labels
            ]
            for each in shifted
        ],
        np.float64,
    )
    pbar = p.mean(axis=0)
    apart = -np.log(p) + np.log(pbar) + (p - pbar) / pbar
    return float((-np.log(p) - weight * apart).mean(axis=1).sum())


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_the_loss_is_that_of_equation_8(weight):
    rng = np.random.default_rng(0)
    members = [rng.normal(0, 2, (6, 4)).astype(np.float32) for _ in range(3)]
    labels = rng.integers(0, 4, 6)
    found = float(disagreement(labels, members, weight))
    assert found == pytest.approx(reference(labels, members, weight), rel=1e-5)
    spread = np.eye(4, dtype=np.float32)[labels]
    assert float(disagreement(spread, members, weight)) == pytest.approx(found)


def test_the_mean_of_the_members_is_a_constant_in_the_gradient():
    import tensorflow as tf

    rng = np.random.default_rng(1)
    members = [
        tf.Variable(rng.normal(0, 1, (5, 3)).astype(np.float32))
        for _ in range(2)
    ]
    labels = rng.integers(0, 3, 5)
    with tf.GradientTape() as tape:
        loss = disagreement(labels, members, 0.5)
    found = tape.gradient(loss, members)
    probabilities = [np.asarray(tf.nn.softmax(each)) for each in members]
    rows = np.arange(5)
    pbar = np.mean([p[rows, labels] for p in probabilities], axis=0)
    for p, gradient in zip(probabilities, found, strict=True):
        py = p[rows, labels]
        # d/dp_y of -log p - 0.5 (-log p + p / pbar), times that of softmax.
        outer = (-0.5 / py - 0.5 / pbar) * py / 5
        expected = outer[:, None] * (np.eye(3)[labels] - p)
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_members_that_agree_get_no_reward():
    logits = np.random.default_rng(2).normal(0, 1, (4, 3)).astype(np.float32)
    alone = [
        float(disagreement(np.zeros(4, int), [logits] * 2, weight))
        for weight in (0.0, 1.0)
    ]
    assert alone[0] == pytest.approx(alone[1], abs=1e-5)


def test_sure_members_give_a_finite_loss():
    members = [
        np.array([[200.0, -200.0]], np.float32),
        np.array([[-200.0, 200.0]], np.float32),
    ]
    assert np.isfinite(float(disagreement(np.zeros(1, int), members, 1.0)))


@pytest.mark.parametrize("ensemble", ["boosted", "zero_time_waste"])
def test_what_is_deployed_is_the_ensemble(ensemble):
    model = chain(3)
    extended = objectives.build(
        "negative_correlation", ensemble=ensemble
    ).extend(model)
    names = [
        output._keras_history.operation.name
        for output in extended.model.outputs[:3]
    ]
    assert (
        names
        == {
            "boosted": ["exit_0", "exit_1_boosted", "exit_2_boosted"],
            "zero_time_waste": ["exit_0_ensemble", "exit_1_ensemble", "exit_2"],
        }[ensemble]
    )
    members = {"boosted": 3, "zero_time_waste": 2}[ensemble]
    assert len(extended.model.outputs) == 3 + members
    outputs = extended.model(IMAGES)
    assert np.isfinite(float(extended.loss(LABELS, outputs)))


def test_every_member_of_a_boosted_ensemble_learns_by_itself():
    model = chain(3)
    extended = objectives.build("negative_correlation").extend(model)
    boosted = objectives.build("boosted").extend(model)
    outputs = extended.model(IMAGES)
    members = [np.asarray(each) for each in model(IMAGES)]
    expected = float(boosted.loss(LABELS, boosted.model(IMAGES)))
    expected += reference(np.asarray(LABELS), members, 0.5)
    assert float(extended.loss(LABELS, outputs)) == pytest.approx(
        expected, rel=1e-4
    )
    found = gradients(
        extended.model, lambda outputs: extended.loss(LABELS, outputs)
    )
    assert all(np.any(each) for each in found.values())


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("weight", -0.1),
        ("weight", 1.5),
        ("weight", float("nan")),
        ("ensemble", "joint"),
        ("arguments", {"depth": 1}),
    ],
)
def test_bad_arguments(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        objectives.build("negative_correlation", **{argument: value})
