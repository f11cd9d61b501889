"""Tests of keras_dynamic.exits.decision.outcome."""

import numpy as np
import pytest

from keras_dynamic.exits.decision.outcome import Outcome, correct, outcome

LOGITS = np.array(
    [
        [[3.0, 0.0], [3.0, 0.0], [0.0, 3.0], [1.0, 1.0]],
        [[0.0, 3.0], [0.0, 3.0], [0.0, 3.0], [0.0, 3.0]],
    ]
)
LABELS = np.array([0, 1, 1, 0])


def test_each_image_counts_with_its_own_exit():
    assert outcome([0, 0, 1, 1], LOGITS, LABELS, [10, 40]) == Outcome(
        accuracy=0.5, mean_cost=25.0, exit_shares=(0.5, 0.5)
    )
    assert outcome([0, 1, 0, 0], LOGITS, LABELS, [10, 40]) == Outcome(
        accuracy=1.0, mean_cost=17.5, exit_shares=(0.75, 0.25)
    )


def test_exits_that_nobody_takes_have_a_share_of_zero():
    got = outcome(np.ones(4, np.int64), LOGITS, LABELS, [0.5, 1.25])
    assert (got.exit_shares, got.mean_cost) == ((0.0, 1.0), 1.25)


def test_a_random_routing_against_a_plain_loop():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5, 101, 3))
    labels, exits = rng.integers(0, 3, 101), rng.integers(0, 5, 101)
    costs = [3, 5, 9, 11, 20]
    hits = [
        logits[exit, image].argmax() == labels[image]
        for image, exit in enumerate(exits)
    ]
    got = outcome(exits, logits, labels, costs)
    assert got.accuracy == sum(hits) / 101
    assert got.mean_cost == sum(costs[exit] for exit in exits) / 101
    assert sum(got.exit_shares) == pytest.approx(1.0)


def test_of_equal_logits_the_lowest_class_counts():
    assert correct(LOGITS, LABELS, 2).tolist() == [
        [True, False, True, True],
        [False, True, True, False],
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exits": [0, 0, 1]}, r"`exits` must be integers of shape \(4,\)"),
        ({"exits": [0.0, 0.0, 1.0, 1.0]}, "`exits` must be integers"),
        ({"exits": [0, 0, 1, 2]}, r"`exits` must lie in \[0, 2\)"),
        ({"exits": [0, 0, 1, -1]}, r"`exits` must lie in \[0, 2\)"),
        ({"labels": [0, 1, 1]}, r"`labels` must be integers of shape \(4,\)"),
        ({"labels": [0, 1, 1, 2]}, r"`labels` must lie in \[0, 2\)"),
        ({"costs": [1, 2, 3]}, "one array per exit, 3 in all"),
        ({"costs": [1.0, np.nan]}, "`costs` must be finite"),
        ({"costs": 3}, "`costs` must be finite numbers of shape"),
        ({"logits": np.zeros((2, 0, 3))}, r"`logits\[0\]` must be \[N, C\]"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {
        "exits": [0, 0, 1, 1],
        "logits": LOGITS,
        "labels": LABELS,
        "costs": [10, 40],
    }
    with pytest.raises(ValueError, match=message):
        outcome(**arguments | change)
