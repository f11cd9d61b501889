"""Tests of keras_dynamic.exits.fitting.accuracy_drop."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.decision import confidence
from keras_dynamic.exits.decision.outcome import correct, outcome
from keras_dynamic.exits.decision.policy import DISABLED_THRESHOLD
from keras_dynamic.exits.fitting.accuracy_drop import accuracy_drop
from keras_dynamic.exits.fitting.calibration import calibrate
from tests.support.random_exits import achieved, problem

DROPS = [0.0, 0.05, 0.1, 0.3, 1.0]


def policy_for(logits, labels, costs, temperatures, max_drop, **measure):
    images = calibrate(logits, labels, costs, temperatures, **measure)
    return accuracy_drop(images, max_drop).policy


def last_accuracy(logits, labels):
    return correct(logits, labels, len(logits))[-1].mean()


def brute_force(logits, labels, costs, drops):
    """The lowest mean cost per drop over all the thresholds there are."""
    sure = confidence.confidences(logits, np.ones(len(costs)))
    right = correct(logits, labels, len(costs))
    images = np.arange(right.shape[1])
    lowest = dict.fromkeys(drops, np.inf)
    levels = [np.append(np.unique(each), np.inf) for each in sure[:-1]]
    for bars in itertools.product(*levels, [0.0]):
        taken = (sure >= np.array(bars)[:, np.newaxis]).argmax(axis=0)
        accuracy = right[taken, images].mean()
        for drop in drops:
            if accuracy >= right[-1].mean() - drop:
                lowest[drop] = min(lowest[drop], costs[taken].mean())
    return list(lowest.values())


def found(logits, labels, costs, drops):
    """The mean costs of the policies, whose accuracies are checked."""
    prices = []
    for drop in drops:
        policy = policy_for(logits, labels, costs, [1.0] * len(costs), drop)
        got = achieved(policy, logits, labels, costs)
        assert got.accuracy >= last_accuracy(logits, labels) - drop
        prices.append(got.mean_cost)
    return prices


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(1, 3),
    images=st.integers(1, 14),
    grid=st.sampled_from([None, 2]),
)
def test_nothing_is_cheaper_with_up_to_three_exits(seed, exits, images, grid):
    case = problem(seed, exits, images, grid)
    np.testing.assert_allclose(
        found(*case, DROPS), brute_force(*case, DROPS), rtol=1e-12
    )


def test_with_four_exits_the_cost_is_close_to_the_lowest():
    excess = []
    for seed in range(25):
        case = problem(seed, 4, 8, grid=None if seed % 2 else 2)
        excess.extend(
            np.divide(found(*case, DROPS), brute_force(*case, DROPS)) - 1.0
        )
    assert np.mean(np.isclose(excess, 0.0)) > 0.95
    assert np.mean(excess) < 0.01


@settings(derandomize=True, deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(4, 6),
    images=st.integers(1, 60),
    grid=st.sampled_from([None, 2]),
    drop=st.sampled_from(DROPS),
)
def test_no_change_of_a_single_threshold_is_cheaper(
    seed, exits, images, grid, drop
):
    logits, labels, costs = problem(seed, exits, images, grid)
    policy = policy_for(logits, labels, costs, [1.0] * exits, drop)
    price = achieved(policy, logits, labels, costs).mean_cost
    sure = confidence.confidences(logits, policy.temperatures)
    bars = np.where(policy.enabled, policy.thresholds, np.inf)
    for exit in range(exits - 1):
        for bar in np.append(np.unique(sure[exit]), np.inf):
            changed = bars.copy()
            changed[exit] = bar
            taken = (sure >= changed[:, np.newaxis]).argmax(axis=0)
            other = outcome(taken, logits, labels, costs)
            if other.accuracy >= last_accuracy(logits, labels) - drop:
                assert other.mean_cost >= price - 1e-9


@settings(derandomize=True, deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(2, 7),
    images=st.integers(1, 80),
)
def test_a_larger_drop_never_costs_more(seed, exits, images):
    prices = found(
        *problem(seed, exits, images), np.linspace(0.0, 0.4, 9).tolist()
    )
    assert (np.diff(prices) <= 1e-9).all()


def test_no_drop_keeps_the_last_exit_s_accuracy_and_saves_work():
    logits, labels, costs = problem(0, 6, 1500)
    (price,) = found(logits, labels, costs, [0.0])
    assert price < costs[-1]


def test_any_drop_lets_every_image_leave_at_the_first_exit():
    logits, labels, costs = problem(1, 5, 200)
    policy = policy_for(logits, labels, costs, [1.0] * 5, 1.0)
    assert policy.enabled == (True, False, False, False, True)
    assert policy.thresholds[1:4] == (DISABLED_THRESHOLD,) * 3
    assert not policy.route(logits).any()


def test_a_threshold_lies_midway_between_the_images_it_tells_apart():
    confidences = np.array([0.9, 0.8, 0.6, 0.55])
    first = np.log(np.stack([confidences, 1 - confidences], axis=1))
    labels = np.array([0, 0, 1, 1])
    last = 5.0 * np.eye(2)[labels]
    policy = policy_for([first, last], labels, [1, 2], [1.0, 1.0], 0.0)
    assert policy.thresholds[0] == pytest.approx(0.7)
    assert policy.route([first, last]).tolist() == [0, 0, 1, 1]


def test_neighbouring_floats_are_told_apart():
    logits = np.zeros((64, 2))
    logits[:, 0] = 1.0 + np.arange(64) * np.finfo(np.float64).eps
    levels, rows = np.unique(
        confidence.max_probability(logits), return_index=True
    )
    assert np.nextafter(levels[0], 1.0) == levels[1]
    for lower, upper in itertools.pairwise(rows):
        first = logits[[upper, lower]]
        last = 5.0 * np.eye(2)
        policy = policy_for(
            [first, last], np.array([0, 1]), [1, 2], [1.0, 1.0], 0.0
        )
        assert policy.route([first, last]).tolist() == [0, 1]


@pytest.mark.parametrize("exits", [3, 5])
def test_noise_in_the_last_bits_moves_no_image(exits):
    logits, labels, costs = problem(2, exits, 300)
    policy = policy_for(logits, labels, costs, [1.3] * exits, 0.02)
    noise = np.random.default_rng(0).uniform(-1e-9, 1e-9, logits.shape)
    np.testing.assert_array_equal(
        policy.route(logits), policy.route(logits + noise)
    )


def test_an_exit_that_is_never_right_is_disabled():
    logits, labels, costs = problem(3, 4, 200)
    logits[1] = -50.0 * np.eye(3)[labels]
    policy = policy_for(logits, labels, costs, [1.0] * 4, 0.0)
    assert not policy.enabled[1]
    assert policy.thresholds[1] == DISABLED_THRESHOLD
    assert 1 not in policy.route(logits)


def test_the_policy_says_where_it_comes_from():
    logits, labels, costs = problem(0, 4, 100)
    policy = policy_for(logits, labels, costs, [1.0] * 4, 0.05)
    score = achieved(policy, logits, labels, costs)
    assert policy.fitted == {
        "rule": "accuracy_drop",
        "max_drop": 0.05,
        "accuracy": score.accuracy,
        "mean_cost": score.mean_cost,
        "images": 100,
    }


@pytest.mark.parametrize("kind", ["margin", "entropy", "patience"])
def test_the_accuracy_is_kept_by_every_kind(kind):
    logits, labels, costs = problem(1, 5, 200)
    policy = policy_for(logits, labels, costs, [1.0] * 5, 0.03, kind=kind)
    assert policy.kind == kind
    got = achieved(policy, logits, labels, costs)
    assert got.accuracy >= last_accuracy(logits, labels) - 0.03
    assert got.mean_cost < costs[-1]


def test_temperatures_are_used_and_kept():
    logits, labels, costs = problem(4, 3, 100)
    temperatures = (0.5, 2.0, 1.5)
    policy = policy_for(logits, labels, costs, temperatures, 0.05)
    assert policy.temperatures == temperatures
    scaled = logits / np.reshape(temperatures, (3, 1, 1))
    same = policy_for(scaled, labels, costs, [1.0] * 3, 0.05)
    np.testing.assert_allclose(policy.thresholds, same.thresholds, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"costs": [1, 3, 3]}, "`costs` must be increasing finite numbers"),
        ({"costs": [1.0, 2.0, np.inf]}, "`costs` must be increasing finite"),
        ({"costs": [-1, 2, 3]}, "`costs` must be .* of at least 0"),
        ({"costs": []}, "`costs` must be increasing finite numbers"),
        ({"max_drop": -0.1}, "`max_drop` must be a fraction"),
        ({"max_drop": 1.5}, "`max_drop` must be a fraction"),
        ({"max_drop": np.nan}, "`max_drop` must be a fraction"),
        ({"temperatures": [1.0]}, "`temperatures` must hold one per exit, 3"),
        ({"temperatures": [1.0, 0.0, 1.0]}, "`temperature` must be"),
        ({"labels": [0, 1]}, r"`labels` must be integers of shape \(9,\)"),
        ({"logits": np.zeros((2, 9, 3))}, "one array per exit, 3 in all"),
        ({"logits": np.full((3, 9, 3), np.nan)}, r"`logits\[0\]` .* 9 of 9"),
        ({"logits": np.zeros((3, 9, 1))}, r"`logits\[0\]` .* C at least 2"),
        (
            {"kind": "certain"},
            "`kind` must be one of .*'patience', 'scheduler'",
        ),
    ],
)
def test_bad_arguments_are_named(change, message):
    logits, labels, costs = problem(0, 3, 9)
    arguments = {
        "logits": logits,
        "labels": labels,
        "costs": costs,
        "temperatures": [1.0] * 3,
        "max_drop": 0.1,
    }
    with pytest.raises(ValueError, match=message):
        policy_for(**arguments | change)
