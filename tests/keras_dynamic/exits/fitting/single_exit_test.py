"""Tests of keras_dynamic.exits.fitting.single_exit."""

import numpy as np
import pytest

from keras_dynamic.exits.fitting.accuracy_drop import accuracy_drop
from keras_dynamic.exits.fitting.budgeted_batch import budgeted_batch
from keras_dynamic.exits.fitting.budgeted_drop import budgeted_drop
from keras_dynamic.exits.fitting.calibration import calibrate
from keras_dynamic.exits.fitting.cost_budget import cost_budget
from keras_dynamic.exits.fitting.promised_drop import promised_drop
from keras_dynamic.exits.fitting.single_exit import at_exit, better_exit
from tests.support.random_exits import problem

COSTS = [1.0, 3.0, 7.0, 9.0]


def briefly_trained(images=1200, seed=0):
    """Draws exits of which the first is the best: 52, 45, 40, 37 % right."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, images)
    logits = rng.normal(0, 0.5, (4, images, 10))
    rows = np.arange(images)
    for exit, share in enumerate((0.52, 0.45, 0.40, 0.37)):
        said = np.where(
            rng.random(images) < share, labels, rng.integers(0, 10, images)
        )
        logits[exit, rows, said] += rng.uniform(1, 4, images)
    return calibrate(logits, labels, COSTS, [1.0] * 4)


@pytest.mark.parametrize("exit", range(4))
def test_every_image_stops_there(exit):
    known = calibrate(*problem(0, 4, 50)[:2], COSTS, [1.0] * 4)
    found = at_exit(known, exit, rule="some")
    assert (found.policy.route(known.logits) == exit).all()
    assert found.facts == {
        "rule": "some",
        "exit": exit,
        "accuracy": known.right[exit].mean(),
        "mean_cost": COSTS[exit],
        "images": 50,
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "fit",
    [
        lambda known: accuracy_drop(known, 0.005),
        lambda known: budgeted_drop(known, 0.005),
        lambda known: promised_drop(known, 0.005, 0.1),
        lambda known: cost_budget(known, 8.0),
    ],
)
def test_no_rule_that_chooses_is_beaten_by_an_exit_alone(fit, seed):
    known = briefly_trained(seed=seed)
    found = fit(known)
    assert better_exit(known, found.policy) is None
    assert found.facts["accuracy"] >= known.right[0].mean() - 0.02
    assert found.facts["mean_cost"] < 3.0


def test_what_was_asked_for_is_compared():
    known = briefly_trained()
    deep = budgeted_batch(known, q=3.0)
    assert better_exit(known, deep.policy) == 0
    assert better_exit(known, at_exit(known, 3).policy) == 0
    assert better_exit(known, at_exit(known, 0).policy) is None


def test_a_cheaper_exit_alone_is_taken():
    known = briefly_trained()
    found = budgeted_drop(known, 0.0)
    assert (found.facts["exit"], found.facts["mean_cost"]) == (0, 1.0)
