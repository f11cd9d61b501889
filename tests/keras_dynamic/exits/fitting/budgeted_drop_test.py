"""Tests of keras_dynamic.exits.fitting.budgeted_drop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.fitting.accuracy_drop import accuracy_drop
from keras_dynamic.exits.fitting.budgeted_batch import budgeted_batch
from keras_dynamic.exits.fitting.budgeted_drop import budgeted_drop
from keras_dynamic.exits.fitting.calibration import calibrate
from tests.support.random_exits import achieved, problem

DROPS = [0.0, 0.05, 0.1, 0.3, 1.0]


def calibrated(logits, labels, costs):
    return calibrate(logits, labels, costs, [1.0] * len(costs))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(1, 5),
    images=st.integers(1, 60),
    grid=st.sampled_from([None, 2]),
)
def test_no_shares_that_lose_no_more_are_cheaper(seed, exits, images, grid):
    case = problem(seed, exits, images, grid)
    known = calibrated(*case)
    prices = []
    for drop in DROPS:
        policy = budgeted_drop(known, drop).policy
        got = achieved(policy, *case)
        assert got.accuracy >= known.right[-1].mean() - drop
        assert policy.fitted["accuracy"] == got.accuracy
        assert policy.fitted["mean_cost"] == got.mean_cost
        prices.append(got.mean_cost)
        for q in (0.25, 0.5, 1.0, 2.0, 4.0):
            tried = achieved(budgeted_batch(known, q=q).policy, *case)
            if tried.accuracy >= known.right[-1].mean() - drop:
                assert got.mean_cost <= tried.mean_cost
    assert prices == sorted(prices, reverse=True)


def test_nothing_need_be_lost():
    """Exits of which only the last is ever right."""
    logits, labels, costs = problem(0, 3, 50)
    logits[:-1] = np.eye(3)[(labels + 1) % 3]
    logits[-1] = np.eye(3)[labels]
    policy = budgeted_drop(calibrated(logits, labels, costs), 0.0).policy
    assert (policy.route(logits) == 2).all()
    assert policy.enabled == (False, False, True)


def test_other_images_lose_less_beyond_it_than_with_the_frontier():
    """Means over 20 draws of 300 images for fitting, of 20,000 others."""
    drop, beyond = 0.01, {"shares": [], "frontier": []}
    logits, labels, costs = problem(0, 5, 20_300)
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(labels))
        fitting, others = order[:300], order[300:]
        known = calibrated(logits[:, fitting], labels[fitting], costs)
        rest = logits[:, others], labels[others], costs
        last = calibrated(*rest).right[-1].mean()
        for name, found in (
            ("shares", budgeted_drop(known, drop)),
            ("frontier", accuracy_drop(known, drop)),
        ):
            got = achieved(found.policy, *rest)
            beyond[name].append(last - got.accuracy - drop)
    assert np.mean(beyond["frontier"]) > 0
    assert np.mean(beyond["shares"]) < np.mean(beyond["frontier"]) / 2


@pytest.mark.parametrize("drop", [-0.1, 1.1, float("nan")])
def test_a_drop_is_a_fraction(drop):
    known = calibrated(*problem(0, 2, 5))
    with pytest.raises(ValueError, match="`max_drop`"):
        budgeted_drop(known, drop)
