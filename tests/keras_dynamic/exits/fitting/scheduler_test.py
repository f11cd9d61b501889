"""Tests of keras_dynamic.exits.fitting.scheduler."""

import dataclasses

import pytest

from keras_dynamic.exits.decision.policy import Policy
from keras_dynamic.exits.fitting.calibration import calibrate
from keras_dynamic.exits.fitting.cost_budget import cost_budget
from keras_dynamic.exits.fitting.scheduler import scheduler
from keras_dynamic.exits.fitting.scheduler_fit import FASTER
from tests.support.random_exits import achieved, misleading, problem

SHORT = dataclasses.replace(FASTER, epochs=20)
COSTS = [10, 40, 100]
UNIT = [1.0, 1.0, 1.0]


def test_it_beats_the_largest_probability_where_that_misleads():
    logits, labels = misleading(0, 1500)
    others = misleading(1, 6000)
    budget = 50.0
    images = calibrate(logits, labels, COSTS, UNIT)
    learned = scheduler(images, budget)
    plain = cost_budget(images, budget)
    both = cost_budget(
        calibrate(
            logits,
            labels,
            COSTS,
            UNIT,
            kind="scheduler",
            scheduler=learned.policy.scheduler,
        ),
        budget,
    )
    every = (learned, plain, both)
    assert max(each.facts["mean_cost"] for each in every) <= budget
    scores = [achieved(each.policy, *others, COSTS) for each in every]
    assert scores[0].accuracy > scores[1].accuracy + 0.15
    assert scores[2].accuracy > scores[1].accuracy + 0.15
    for score in scores:
        assert score.mean_cost < 1.05 * budget


@pytest.mark.parametrize("exits", [1, 2, 5])
def test_the_policy_keeps_the_budget_and_says_where_it_comes_from(exits):
    logits, labels, costs = problem(0, exits, 200)
    budget = (costs[0] + costs[-1]) / 2
    images = calibrate(logits, labels, costs, [1.0] * exits)
    got = scheduler(images, budget, SHORT)
    assert achieved(got.policy, logits, labels, costs).mean_cost <= budget
    assert got.policy.kind == got.policy.fitted["rule"] == "scheduler"
    assert got.policy.fitted["budget"] == budget
    assert Policy.from_dict(got.policy.to_dict()) == got.policy


def test_the_kind_of_the_images_plays_no_part():
    logits, labels = misleading(0, 200)
    found = [
        scheduler(calibrate(logits, labels, COSTS, UNIT, kind=kind), 50, SHORT)
        for kind in ("max_probability", "patience")
    ]
    assert found[0] == found[1]
