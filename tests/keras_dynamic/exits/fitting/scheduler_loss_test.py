"""Tests of keras_dynamic.exits.fitting.scheduler_loss."""

import numpy as np
import pytest

from keras_dynamic.exits.fitting.scheduler_loss import (
    score_loss,
    share_loss,
    shares_of,
)

STEP = 1e-6


def slopes(loss, array):
    """Finite differences of a function of an array that is changed."""
    found = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        ends = []
        for step in (-STEP, STEP):
            array[index] = kept + step
            ends.append(loss())
        array[index] = kept
        found[index] = (ends[1] - ends[0]) / (2 * STEP)
    return found


def features(rng, images=30, exits=3, size=5):
    return [rng.uniform(size=(images, size + k)) for k in range(exits)]


def test_the_gradient_of_the_scores():
    rng = np.random.default_rng(0)
    seen = features(rng)
    # Some scores beyond either end, where nothing flows.
    weights = [rng.uniform(-0.9, 0.9, x.shape[1]) for x in seen]
    right = rng.random((30, 3)) < 0.6
    shares = rng.dirichlet(np.ones(3), 30)
    loss, gradients = score_loss(weights, seen, right, shares)
    scores = np.stack([x @ w for x, w in zip(seen, weights, strict=True)])
    assert (scores < 0).any()
    assert (scores > 1).any()
    expected = 0.0
    for k in range(3):
        q = scores[k].clip(0, 1)
        with np.errstate(divide="ignore"):
            logs = np.log(np.where(right[:, k], q, 1 - q)).clip(-100)
        expected -= (shares[:, k] / shares[:, k].sum() * logs).sum() / 3
    assert loss == pytest.approx(expected)
    for weight, gradient in zip(weights, gradients, strict=True):
        differences = slopes(
            lambda: score_loss(weights, seen, right, shares)[0], weight
        )
        np.testing.assert_allclose(gradient, differences, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("budget", [15.0, 60.0])
@pytest.mark.parametrize("beta", [1.0, 2.5])
def test_the_gradient_of_the_shares(budget, beta):
    rng = np.random.default_rng(1)
    seen = features(rng)
    networks = [
        [
            rng.normal(size=(x.shape[1], 4)),
            rng.normal(size=4),
            rng.normal(size=4),
            rng.normal(size=1),
        ]
        for x in seen
    ]
    scores = rng.uniform(-0.2, 1.2, (30, 3))
    costs = np.array([10.0, 30.0, 100.0]) / budget
    constants = {"alpha_ce": 0.7, "alpha_cost": 0.4, "beta": beta}

    def loss():
        return share_loss(networks, seen, scores, costs, **constants)[0]

    value, gradients = share_loss(networks, seen, scores, costs, **constants)
    shares = shares_of(networks, seen)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    targets = scores.clip(0, 1) ** beta
    targets /= targets.sum(axis=1, keepdims=True)
    terms = np.where(
        targets > 0, targets * np.log(np.maximum(targets, 1e-99) / shares), 0
    )
    expected = 0.7 * terms.mean()
    expected += 0.4 * abs((shares @ costs).mean() - 1)
    assert value == pytest.approx(expected)
    for network, found in zip(networks, gradients, strict=True):
        for array, gradient in zip(network, found, strict=True):
            np.testing.assert_allclose(
                gradient, slopes(loss, array), rtol=1e-4, atol=1e-8
            )
