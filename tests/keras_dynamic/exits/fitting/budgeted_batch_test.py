"""Tests of keras_dynamic.exits.fitting.budgeted_batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.decision import confidence
from keras_dynamic.exits.decision.policy import first_exits
from keras_dynamic.exits.fitting.budgeted_batch import (
    budgeted_batch,
    within_budget,
)
from keras_dynamic.exits.fitting.calibration import calibrate
from keras_dynamic.exits.fitting.exit_shares import (
    exit_shares,
    thresholds,
    tilted,
)
from tests.support.random_exits import problem


def calibrated(logits, costs, temperatures, **measure):
    """Images whose labels say nothing: they play no part."""
    labels = np.zeros(len(logits[0]), int)
    return calibrate(logits, labels, costs, temperatures, **measure)


def test_the_policy_gives_the_images_their_shares():
    logits = np.random.default_rng(0).normal(size=(4, 1000, 10))
    shares = exit_shares(0.8, 4)
    temperatures = [1.0, 1.2, 0.9, 1.0]
    images = calibrated(logits, [1, 2, 3, 4], temperatures)
    policy = budgeted_batch(images, q=0.8).policy
    assert policy.temperatures == (1.0, 1.2, 0.9, 1.0)
    bars, enabled = thresholds(
        confidence.confidences(logits, temperatures), shares
    )
    assert policy.thresholds == tuple(bars)
    assert policy.enabled == tuple(enabled)
    counts = np.bincount(policy.route(logits), minlength=4)
    np.testing.assert_array_equal(counts[:-1], np.floor(1000 * shares)[:-1])


def cost_of(scored, costs, q, base):
    """Mean cost under the shares of one q."""
    shares = tilted(base, q)
    bars, enabled = thresholds(scored.scores, shares)
    taken = first_exits(scored.scores, np.where(enabled, bars, np.inf))
    return costs[taken].mean()


@settings(derandomize=True, deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(2, 6),
    images=st.integers(1, 60),
    grid=st.sampled_from([None, 2]),
    level=st.floats(0, 1),
    based=st.booleans(),
)
def test_the_largest_q_that_the_budget_pays_for(
    seed, exits, images, grid, level, based
):
    logits, _, costs = problem(seed, exits, images, grid)
    scored = calibrated(logits, costs, np.ones(exits))
    base, shares = np.ones(exits), None
    if based:
        base = np.random.default_rng(seed).uniform(0.1, 1.0, exits)
        base = shares = base / base.sum()
    budget = costs[0] + level * (costs[-1] - costs[0]) * 0.999
    got = within_budget(scored, budget, shares, rule="some")
    if not based:
        again = budgeted_batch(scored, budget=budget)
        assert again.facts == {**got.facts, "rule": "budgeted_batch"}
    taken = got.policy.route(logits)
    assert got.facts["mean_cost"] == costs[taken].mean() <= budget
    assert got.status == "within_budget"
    q = got.policy.fitted["q"]
    assert cost_of(scored, costs, q, base) == pytest.approx(
        got.facts["mean_cost"]
    )
    assert cost_of(scored, costs, q * (1 + 1e-9), base) > budget
    assert got.policy.fitted == {
        "rule": "some",
        "budget": budget,
        "q": q,
        "status": "within_budget",
        "mean_cost": got.facts["mean_cost"],
        "images": images,
    }


def test_a_budget_for_everything_lets_every_image_go_on():
    logits, _, costs = problem(0, 4, 50)
    scored = calibrated(logits, costs, np.ones(4), kind="margin")
    got = budgeted_batch(scored, budget=costs[-1])
    assert got.status == "last_exit_affordable"
    assert got.policy.kind == "margin"
    assert got.policy.route(logits).tolist() == [3] * 50


def test_the_lowest_budget_stops_every_image_at_once():
    logits, _, costs = problem(0, 4, 50)
    scored = calibrated(logits, costs / 7, np.ones(4))
    got = budgeted_batch(scored, budget=costs[0] / 7)
    assert not got.policy.route(logits).any()


IMAGES = calibrated(np.zeros((2, 3, 4)), [2, 5], [1.0, 1.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: budgeted_batch(IMAGES, budget=1.5),
            "`budget` must .* first exit's cost, 2: no policy",
        ),
        (
            lambda: within_budget(IMAGES, 3, [0.0, 1.0], rule="some"),
            "`shares` must be positive",
        ),
        (lambda: budgeted_batch(IMAGES, q=0.0), "`q` must be"),
        (lambda: budgeted_batch(IMAGES), "`q` and `budget`"),
        (lambda: budgeted_batch(IMAGES, q=1.0, budget=3), "`q` and `budget`"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
