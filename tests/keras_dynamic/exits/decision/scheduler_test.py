"""Tests of keras_dynamic.exits.decision.scheduler."""

import json

import numpy as np
import pytest

from keras_dynamic.exits.decision import confidence
from keras_dynamic.exits.decision.scheduler import Scheduler

WEIGHTS = [[0.1, 0.2, 0.3, 0.4, 0.05], [-0.2, 0.1, 0.3, 0.2, 0.1, 0.6]]
GOOD = {"weights": WEIGHTS, "biases": [0.05, -0.1]}


def test_the_score_is_the_formula():
    scheduler = Scheduler.from_dict(GOOD)
    assert (scheduler.exits, scheduler.classes) == (2, 3)
    rng = np.random.default_rng(0)
    probabilities = confidence.softmax(rng.normal(size=(2, 20, 3)) * 2)
    state = np.zeros((20, scheduler.memory))
    before = []
    for exit in range(2):
        p = probabilities[exit]
        entropy = -(p * np.log(p)).sum(axis=1)
        seen = [*p.T, p.max(axis=1), 1 - entropy / np.log(3), *before]
        expected = np.array(WEIGHTS[exit]) @ np.array(seen)
        expected += GOOD["biases"][exit]
        scores, state = scheduler(exit, p, state)
        np.testing.assert_allclose(scores, expected.clip(0, 1), rtol=1e-12)
        before.append(scores)
    np.testing.assert_array_equal(state[:, 0], before[0])


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
def test_a_row_alone_gives_the_bits_it_gives_in_a_batch(classes):
    rng = np.random.default_rng(classes)
    scheduler = Scheduler(
        [(rng.normal(size=classes + 2 + k) / 9).tolist() for k in range(4)],
        [0.5] * 4,
    )
    logits = rng.normal(size=(4, 17, classes))
    state = np.zeros((17, scheduler.memory))
    alone = [np.zeros(scheduler.memory) for _ in range(17)]
    for exit in range(4):
        scores, state = scheduler(exit, confidence.softmax(logits[exit]), state)
        for image in range(17):
            score, alone[image] = scheduler(
                exit, confidence.softmax(logits[exit, image]), alone[image]
            )
            assert score == scores[image]


def test_scores_stay_in_range_and_the_state_given_stays_as_it_is():
    scheduler = Scheduler([[9.0] * 4, [-9.0] * 5], [0.0, 0.0])
    state = np.zeros((1, 1))
    high, kept = scheduler(0, np.array([[0.5, 0.5]]), state)
    low, _ = scheduler(1, np.array([[0.5, 0.5]]), kept)
    assert (high, low, kept, state) == (1.0, 0.0, 1.0, 0.0)


def test_json_keeps_every_bit():
    weights = np.random.default_rng(0).normal(size=(2, 1003)).tolist()
    scheduler = Scheduler([weights[0][:-1], weights[1]], [1 / 3, -1e-17])
    values = json.loads(json.dumps(scheduler.to_dict()))
    assert Scheduler.from_dict(values) == scheduler


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": WEIGHTS[:1]}, r"`weights` .* of 2 exits.* lengths \[5\]"),
        ({"weights": [WEIGHTS[0]] * 2}, r"lengths \[5, 5\]"),
        ({"weights": [[1.0], [1.0, 2.0]]}, "`weights` must be lists"),
        ({"weights": [[1.0, 2.0], [1.0] * 3]}, r"from 2 \+ the number"),
        ({"weights": [WEIGHTS[0], 3.0]}, r"lengths \[5, None\]"),
        ({"weights": [WEIGHTS[0], [np.nan] * 6]}, r"lengths \[5, None\]"),
        ({"weights": [WEIGHTS[0], ["a"] * 6]}, r"lengths \[5, None\]"),
        ({"weights": 3}, r"lengths \[\]"),
        ({"biases": []}, "`biases` must be .* Received: \\[\\]"),
        ({"biases": [0.0, np.inf]}, "`biases` must be"),
        ({"biases": [0.0, 10**400]}, "`biases` must be"),
        ({"biases": [True, False]}, "`biases` must be"),
        ({"biases": None}, "`biases` must be .* Received: None"),
        ({"kind": "scheduler"}, "keys weights and biases. Received: .*'kind'"),
    ],
)
def test_what_is_no_scheduler_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        Scheduler.from_dict(GOOD | change)


def test_other_types_and_numbers_of_classes_are_named():
    with pytest.raises(ValueError, match=r"`scheduler`"):
        Scheduler.from_dict([GOOD])
    with pytest.raises(ValueError, match=r"of 3 classes.* Received: 4"):
        Scheduler.from_dict(GOOD)(0, np.full((5, 4), 0.25), np.zeros((5, 1)))
