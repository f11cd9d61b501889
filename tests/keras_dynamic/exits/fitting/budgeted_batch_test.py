"""Tests of keras_dynamic.exits.fitting.budgeted_batch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.decision import confidence
from keras_dynamic.exits.decision.policy import DISABLED_THRESHOLD, first_exits
from keras_dynamic.exits.fitting import budgeted_batch, calibration
from tests.support.random_exits import problem

NEVER = 1e8


def published_protocol(confidences, shares):
    """The published loop, image by image; `NEVER` where no image leaves."""
    exits, images = confidences.shape
    bars = [NEVER] * exits
    gone = [False] * images
    for exit in range(exits - 1):
        wanted = math.floor(images * shares[exit])
        count = 0
        for image in np.argsort(-confidences[exit], kind="stable"):
            if not gone[image]:
                count += 1
                if count == wanted:
                    bars[exit] = confidences[exit, image]
                    break
        for image in range(images):
            if confidences[exit, image] >= bars[exit]:
                gone[image] = True
    bars[-1] = -NEVER
    return bars


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(1, 6),
    images=st.integers(1, 40),
    decimals=st.sampled_from([1, 2, 12]),
    q=st.floats(0.05, 2.0),
)
def test_thresholds_are_those_of_the_published_protocol(
    seed, exits, images, decimals, q
):
    rng = np.random.default_rng(seed)
    # Few decimals give ties, which leave together and starve later exits.
    confidences = rng.uniform(0.1, 1.0, (exits, images)).round(decimals)
    shares = budgeted_batch.exit_shares(q, exits)
    bars, enabled = budgeted_batch.thresholds(confidences, shares)
    expected = published_protocol(confidences, shares)
    assert enabled.tolist() == [bar != NEVER for bar in expected]
    for exit in range(exits - 1):
        assert bars[exit] == (
            expected[exit] if enabled[exit] else DISABLED_THRESHOLD
        )
    assert (bars[-1], enabled[-1]) == (0.0, True)


def test_a_share_below_one_image_disables_the_exit():
    confidences = np.full((3, 4), 0.5)
    bars, enabled = budgeted_batch.thresholds(confidences, [0.24, 0.26, 0.5])
    assert enabled.tolist() == [False, True, True]
    assert bars.tolist() == [1.0, 0.5, 0.0]


def test_an_exit_with_too_few_images_left_never_fires():
    # All four leave at the first exit, because they are equally sure.
    confidences = np.full((3, 4), 0.5)
    _, enabled = budgeted_batch.thresholds(confidences, [0.25, 0.25, 0.5])
    assert enabled.tolist() == [True, False, True]


@pytest.mark.parametrize("q", [1e-300, 0.05, 1.0, 1.95, 1e300])
def test_shares_grow_by_q_and_sum_to_one(q):
    shares = budgeted_batch.exit_shares(q, 6)
    assert np.isfinite(shares).all()
    assert shares.sum() == pytest.approx(1.0, rel=1e-12)
    np.testing.assert_allclose(
        shares[1:], q * shares[:-1], rtol=1e-12, atol=1e-299
    )


def test_equal_shares_are_exactly_equal():
    assert budgeted_batch.exit_shares(1.0, 4).tolist() == [0.25] * 4


def test_the_policy_gives_the_images_their_shares():
    logits = np.random.default_rng(0).normal(size=(4, 1000, 10))
    shares = budgeted_batch.exit_shares(0.8, 4)
    temperatures = [1.0, 1.2, 0.9, 1.0]
    policy = budgeted_batch.budgeted_policy(logits, temperatures, shares)
    assert policy.temperatures == (1.0, 1.2, 0.9, 1.0)
    bars, enabled = budgeted_batch.thresholds(
        confidence.confidences(logits, temperatures), shares
    )
    assert policy.thresholds == tuple(bars)
    assert policy.enabled == tuple(enabled)
    counts = np.bincount(policy.route(logits), minlength=4)
    np.testing.assert_array_equal(counts[:-1], np.floor(1000 * shares)[:-1])


def cost_of(scored, costs, q, base):
    """Mean cost under the shares of one q."""
    shares = budgeted_batch.tilted(base, q)
    bars, enabled = budgeted_batch.thresholds(scored.scores, shares)
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
    scored = calibration.score(logits, np.ones(exits))
    base, shares = np.ones(exits), None
    if based:
        base = np.random.default_rng(seed).uniform(0.1, 1.0, exits)
        base = shares = base / base.sum()
    budget = costs[0] + level * (costs[-1] - costs[0]) * 0.999
    got = budgeted_batch.shares_within_budget(scored, costs, budget, shares)
    taken = got.policy.route(logits)
    assert got.mean_cost == costs[taken].mean() <= budget
    assert got.status == "within_budget"
    q = got.policy.fitted["q"]
    assert cost_of(scored, costs, q, base) == pytest.approx(got.mean_cost)
    assert cost_of(scored, costs, q * (1 + 1e-9), base) > budget
    assert got.policy.fitted == {
        "rule": "budgeted_batch",
        "budget": budget,
        "q": q,
        "status": "within_budget",
        "mean_cost": got.mean_cost,
        "images": images,
    }


def test_a_budget_for_everything_lets_every_image_go_on():
    logits, _, costs = problem(0, 4, 50)
    scored = calibration.score(logits, np.ones(4), kind="margin")
    got = budgeted_batch.shares_within_budget(scored, costs, costs[-1])
    assert got.status == "last_exit_affordable"
    assert got.policy.kind == "margin"
    assert got.policy.route(logits).tolist() == [3] * 50


def test_the_lowest_budget_stops_every_image_at_once():
    logits, _, costs = problem(0, 4, 50)
    scored = calibration.score(logits, np.ones(4))
    got = budgeted_batch.shares_within_budget(scored, costs / 7, costs[0] / 7)
    assert not got.policy.route(logits).any()


SCORED = calibration.score(np.zeros((2, 3, 4)), [1.0, 1.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: budgeted_batch.shares_within_budget(SCORED, [2, 5], 1.5),
            "`budget` must .* first exit's cost, 2: no policy",
        ),
        (
            lambda: budgeted_batch.shares_within_budget(SCORED, [2, 2], 3),
            "`costs` must be increasing",
        ),
        (
            lambda: budgeted_batch.shares_within_budget(SCORED, [2], 3),
            "`temperatures` must hold one per exit, 1",
        ),
        (
            lambda: budgeted_batch.shares_within_budget(
                SCORED, [2, 5], 3, [0.0, 1.0]
            ),
            "`shares` must be positive",
        ),
        (
            lambda: budgeted_batch.budgeted_policy(
                np.zeros((2, 3, 1)), [1.0, 1.0], [0.5, 0.5]
            ),
            "C at least 2",
        ),
        (lambda: budgeted_batch.exit_shares(0.0, 3), "`q` must be"),
        (lambda: budgeted_batch.exit_shares(math.nan, 3), "`q` must be"),
        (lambda: budgeted_batch.exit_shares(1.0, 0), "`exits` must be"),
        (
            lambda: budgeted_batch.thresholds(np.ones(3), [1.0]),
            r"`confidences` must be \[K, N\]",
        ),
        (
            lambda: budgeted_batch.thresholds([[0.5, 1.5]], [1.0]),
            r"`confidences` must lie in \[0, 1\]",
        ),
        (
            lambda: budgeted_batch.thresholds([[0.5, np.nan]], [1.0]),
            r"`confidences` must lie in \[0, 1\]",
        ),
        (
            lambda: budgeted_batch.thresholds([[0.5, 0.6]], [0.5, 0.5]),
            "`shares` must be 1 numbers",
        ),
        (
            lambda: budgeted_batch.thresholds([[0.5]] * 2, [0.5, 0.4]),
            "`shares` must be .* sum to 1",
        ),
        (
            lambda: budgeted_batch.thresholds([[0.5]] * 2, [-0.5, 1.5]),
            "`shares` must be",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
