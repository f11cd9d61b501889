"""Tests of keras_dynamic.exits.fitting.frontier."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.decision import confidence
from keras_dynamic.exits.decision.outcome import correct, tally
from keras_dynamic.exits.decision.policy import DISABLED_THRESHOLD, first_exits
from keras_dynamic.exits.fitting import frontier
from tests.support.random_exits import problem


def case(seed, exits, images, grid=None):
    """Scores, right answers and costs."""
    logits, labels, costs = problem(seed, exits, images, grid)
    scores = confidence.confidences(logits, np.ones(exits))
    return scores, correct(logits, labels, exits), costs


def sums(bars, scores, right, costs):
    """Right answers and sum of costs under some thresholds."""
    taken = first_exits(scores, bars)
    hits = right[taken, np.arange(taken.size)].sum()
    return int(hits), costs[taken].sum()


def all_thresholds(scores):
    levels = [np.append(np.unique(each), np.inf) for each in scores[:-1]]
    return itertools.product(*levels, [0.0])


def best_of(pairs):
    """Those pairs of hits and cost that no other one beats."""
    cheapest = {}
    for hits, cost in pairs:
        cheapest[hits] = min(cost, cheapest.get(hits, np.inf))
    kept, lowest = [], np.inf
    for hits in sorted(cheapest, reverse=True):
        if cheapest[hits] < lowest:
            lowest = cheapest[hits]
            kept.append((hits, lowest))
    return kept[::-1]


CASES = {
    "seed": st.integers(0, 10**6),
    "images": st.integers(1, 14),
    "grid": st.sampled_from([None, 2]),
}


@settings(derandomize=True, deadline=None, max_examples=60)
@given(exits=st.integers(1, 3), **CASES)
def test_up_to_three_exits_nothing_is_better(seed, exits, images, grid):
    scores, right, costs = case(seed, exits, images, grid)
    found = frontier.frontier(scores, right, costs)
    assert (found.slack, found.closed) == (0, True)
    pairs = (
        sums(bars, scores, right, costs) for bars in all_thresholds(scores)
    )
    assert list(zip(found.hits, found.costs, strict=True)) == best_of(pairs)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(share=st.floats(0.05, 1.0), **CASES)
def test_three_exits_with_little_work_keep_within_the_slack(
    seed, images, grid, share
):
    scores, right, costs = case(seed, 3, images, grid)
    everything = np.count_nonzero(~right[0]) * images
    found = frontier.frontier(
        scores, right, costs, work=max(1, int(share * everything))
    )
    assert found.closed == (found.slack == 0)
    for bars in all_thresholds(scores):
        hits, cost = sums(bars, scores, right, costs)
        index = found.most_accurate(cost / images * (1 + 1e-12))
        assert found.hits[index] >= hits - found.slack


@settings(derandomize=True, deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(4, 6),
    images=st.integers(1, 40),
    grid=st.sampled_from([None, 2]),
)
def test_no_change_of_a_single_threshold_is_better(seed, exits, images, grid):
    scores, right, costs = case(seed, exits, images, grid)
    found = frontier.frontier(scores, right, costs)
    assert (found.slack, found.closed) == (None, True)
    pairs = list(zip(found.hits, found.costs, strict=True))
    changes = []
    for bars in found.thresholds:
        for exit in range(exits - 1):
            for bar in np.append(np.unique(scores[exit]), np.inf):
                changed = bars.copy()
                changed[exit] = bar
                changes.append(sums(changed, scores, right, costs))
    assert best_of(pairs + changes) == pairs


def test_with_four_exits_it_is_close_to_the_best():
    missed = []
    for seed in range(12):
        scores, right, costs = case(seed, 4, 8, grid=None if seed % 2 else 2)
        found = frontier.frontier(scores, right, costs)
        pairs = (
            sums(bars, scores, right, costs) for bars in all_thresholds(scores)
        )
        for hits, cost in best_of(pairs):
            index = found.most_accurate(cost / 8)
            missed.append(hits - found.hits[index])
    assert np.mean(missed) < 0.03


@pytest.mark.parametrize("exits", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("limits", [{}, {"work": 1}, {"values": 20}])
def test_policies_give_what_is_said_of_them(exits, limits):
    scores, right, costs = case(exits, exits, 150)
    found = frontier.frontier(scores, right, costs, **limits)
    assert found.thresholds.shape == (len(found.hits), exits)
    assert (np.diff(found.hits) > 0).all()
    assert (np.diff(found.costs) > 0).all()
    for bars, *pair in zip(
        found.thresholds, found.hits, found.costs, strict=True
    ):
        assert sums(bars, scores, right, costs) == tuple(pair)
    assert found.costs[0] == 150 * costs[0]
    assert found.hits[-1] >= right[-1].sum()


def test_little_work_loses_little():
    scores, right, costs = case(0, 6, 1500)
    little = frontier.frontier(scores, right, costs, work=0)
    much = frontier.frontier(scores, right, costs)
    coarse = frontier.frontier(scores, right, costs, work=0, values=200)
    assert (little.closed, much.closed) == (False, True)
    budgets = np.linspace(costs[0], costs[-1], 50)
    for other, most in ((little, 0.002), (coarse, 0.004)):
        lost = [
            much.hits[much.most_accurate(budget)]
            - other.hits[other.most_accurate(budget)]
            for budget in budgets
        ]
        assert np.mean(lost) / 1500 < most


@pytest.mark.parametrize("exits", [2, 3, 5])
def test_costs_in_fractions_give_the_same_policies(exits):
    scores, right, costs = case(3, exits, 120)
    whole = frontier.frontier(scores, right, costs)
    # Exact in binary, so that nothing is rounded.
    parts = frontier.frontier(scores, right, costs / 1024)
    np.testing.assert_array_equal(whole.hits, parts.hits)
    np.testing.assert_array_equal(whole.costs / 1024, parts.costs / parts.unit)
    for budget in np.linspace(costs[0], costs[-1], 30):
        assert whole.most_accurate(budget) == parts.most_accurate(budget / 1024)


def test_costs_beyond_exact_integers_are_rounded_up():
    scores, right, costs = case(4, 4, 100)
    huge = frontier.frontier(scores, right, costs.astype(np.int64) * 10**15 + 1)
    small = frontier.frontier(scores, right, costs)
    np.testing.assert_array_equal(huge.hits, small.hits)
    mean = huge.costs / huge.unit / 100
    true = small.costs / 100 * 1e15
    assert (mean >= true).all()
    np.testing.assert_allclose(mean, true, rtol=1e-12)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(1, 6),
    images=st.integers(1, 30),
    grid=st.sampled_from([None, 2]),
)
def test_thresholds_in_the_gaps_move_no_image(seed, exits, images, grid):
    scores, right, costs = case(seed, exits, images, grid)
    rng = np.random.default_rng(seed)
    bars = [*(rng.choice([*each, np.inf]) for each in scores[:-1]), 0.0]
    taken = first_exits(scores, bars)
    moved, enabled = frontier.between(bars, scores)
    reached = np.where(enabled, moved, np.inf)
    np.testing.assert_array_equal(first_exits(scores, reached), taken)
    used = tally(taken, right, costs).exit_shares
    for exit in range(exits - 1):
        assert enabled[exit] == (used[exit] > 0)
        if not enabled[exit]:
            assert moved[exit] == DISABLED_THRESHOLD
    assert (moved[-1], enabled[-1]) == (0.0, True)
