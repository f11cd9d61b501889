"""Tests of keras_dynamic.exits.fitting.cost_budget."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.decision import confidence
from keras_dynamic.exits.decision.outcome import correct
from keras_dynamic.exits.fitting.calibration import calibrate
from keras_dynamic.exits.fitting.cost_budget import cost_budget
from tests.support.random_exits import achieved, problem


def within(logits, labels, costs, temperatures, budget, **measure):
    images = calibrate(logits, labels, costs, temperatures, **measure)
    return cost_budget(images, budget)


def budgets(costs):
    return np.linspace(costs[0], costs[-1], 7).tolist()


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(1, 3),
    images=st.integers(1, 12),
    grid=st.sampled_from([None, 2]),
)
def test_nothing_is_more_accurate_with_up_to_three_exits(
    seed, exits, images, grid
):
    logits, labels, costs = problem(seed, exits, images, grid)
    scores = confidence.confidences(logits, np.ones(exits))
    right = correct(logits, labels, exits)
    levels = [np.append(np.unique(each), np.inf) for each in scores[:-1]]
    found = []
    for bars in itertools.product(*levels, [0.0]):
        taken = (scores >= np.array(bars)[:, np.newaxis]).argmax(axis=0)
        found.append(
            (costs[taken].mean(), right[taken, np.arange(images)].mean())
        )
    for budget in budgets(costs):
        best = max(accuracy for cost, accuracy in found if cost <= budget)
        got = within(logits, labels, costs, [1.0] * exits, budget)
        score = achieved(got.policy, logits, labels, costs)
        assert score.mean_cost == got.facts["mean_cost"] <= budget
        assert score.accuracy == best


@settings(derandomize=True, deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(1, 7),
    images=st.integers(1, 80),
    kind=st.sampled_from(["max_probability", "margin", "entropy", "patience"]),
    milliseconds=st.booleans(),
)
def test_the_budget_is_kept_and_a_larger_one_is_no_less_accurate(
    seed, exits, images, kind, milliseconds
):
    logits, labels, costs = problem(seed, exits, images)
    if milliseconds:
        costs = costs * np.random.default_rng(seed).uniform(0.01, 0.02)
    found = calibrate(logits, labels, costs, np.ones(exits), kind=kind)
    before = 0.0
    for budget in budgets(costs):
        got = cost_budget(found, budget)
        score = achieved(got.policy, logits, labels, costs)
        assert score.mean_cost == got.facts["mean_cost"]
        assert score.mean_cost <= budget * (1 + 1e-15 * milliseconds)
        assert score.accuracy >= before
        before = score.accuracy
        assert got.policy.kind == kind
        assert got.status == (
            "last_exit_affordable" if budget >= costs[-1] else "within_budget"
        )


def test_the_policy_says_where_it_comes_from():
    logits, labels, costs = problem(0, 4, 100)
    got = within(logits, labels, costs, [1.0] * 4, float(costs[2]))
    score = achieved(got.policy, logits, labels, costs)
    assert got.policy.fitted == {
        "rule": "cost_budget",
        "budget": costs[2],
        "status": "within_budget",
        "accuracy": score.accuracy,
        "mean_cost": score.mean_cost,
        "images": 100,
    }


def test_the_lowest_budget_sends_every_image_to_the_first_exit():
    logits, labels, costs = problem(1, 5, 100)
    for unit in (1, 0.1, 1 / 3):
        got = within(logits, labels, costs * unit, [1.0] * 5, costs[0] * unit)
        assert got.policy.enabled == (True, False, False, False, True)
        assert not got.policy.route(logits).any()


def test_a_budget_for_everything_is_no_less_accurate_than_the_last_exit():
    logits, labels, costs = problem(2, 5, 300)
    for budget in (costs[-1], 1e6 * costs[-1]):
        got = within(logits, labels, costs, [1.0] * 5, budget)
        assert got.status == "last_exit_affordable"
        score = achieved(got.policy, logits, labels, costs)
        assert score.accuracy >= correct(logits, labels, 5)[-1].mean()


GOOD = problem(0, 3, 9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"budget": GOOD[2][0] - 0.5},
            rf"`budget` must .* first exit's cost, {GOOD[2][0]}: no policy",
        ),
        ({"budget": np.nan}, "`budget` must be a finite number"),
        ({"budget": np.inf}, "`budget` must be a finite number"),
        ({"costs": [3, 2, 1]}, "`costs` must be increasing"),
        ({"costs": [1, 2]}, "`temperatures` must hold one per exit, 2"),
        ({"logits": np.zeros((3, 0, 3)), "labels": []}, r"N at least 1"),
        ({"logits": np.zeros((3, 9, 1))}, "C at least 2"),
        ({"logits": np.full((3, 9, 3), np.inf)}, r"`logits\[0\]` .* 9 of 9"),
        ({"labels": np.full(9, 3)}, r"`labels` must lie in \[0, 3\)"),
        ({"labels": np.full(9, -1)}, r"`labels` must lie in \[0, 3\)"),
        ({"labels": [0] * 8}, r"`labels` must be integers of shape \(9,\)"),
        ({"kind": "scheduler"}, "`scheduler` must be a Scheduler"),
    ],
)
def test_bad_arguments_are_named(change, message):
    logits, labels, costs = GOOD
    arguments = {
        "logits": logits,
        "labels": labels,
        "costs": costs,
        "temperatures": [1.0] * 3,
        "budget": float(costs[-1]),
    }
    with pytest.raises(ValueError, match=message):
        within(**arguments | change)
