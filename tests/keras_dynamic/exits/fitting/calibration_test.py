"""Tests of keras_dynamic.exits.fitting.calibration."""

import numpy as np
import pytest

from keras_dynamic.exits.decision.outcome import correct
from keras_dynamic.exits.decision.policy import Policy
from keras_dynamic.exits.fitting import calibration
from keras_dynamic.exits.fitting.accuracy_drop import accuracy_drop
from keras_dynamic.exits.fitting.cost_budget import cost_budget
from tests.support.random_exits import problem


def test_what_rules_see_is_what_policies_do():
    logits, labels, costs = problem(0, 3, 50)
    temperatures = [0.5, 1.0, 2.0]
    found = calibration.calibrate(
        logits, labels, costs, temperatures, kind="margin"
    )
    policy = found.fitted(
        [0.3, 0.4, 0.0], [True, True, True], rule="a guess"
    ).policy
    assert policy == Policy(
        kind="margin",
        temperatures=temperatures,
        thresholds=[0.3, 0.4, 0.0],
        enabled=[True] * 3,
        fitted={"rule": "a guess", "images": 50},
    )
    np.testing.assert_array_equal(found.scores, policy.scores(logits))
    np.testing.assert_array_equal(found.right, correct(logits, labels, 3))


def test_rules_share_one_frontier():
    logits, labels, costs = problem(1, 5, 80)
    found = calibration.calibrate(logits, labels, costs, np.ones(5))
    assert found.frontier is found.frontier
    for rule, target in ((accuracy_drop, 0.1), (cost_budget, 30.0)):
        alone = calibration.calibrate(logits, labels, costs, np.ones(5))
        assert rule(found, target) == rule(alone, target)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"costs": [2, 1]}, "`costs` must be increasing"),
        ({"costs": [1, 2, 3]}, "`temperatures` must hold one per exit, 3"),
        ({"logits": np.zeros((2, 4, 1))}, r"`logits\[0\]` .* C at least 2"),
        ({"logits": np.zeros((2, 0, 3))}, r"`logits\[0\]` .* N at least 1"),
        ({"logits": np.zeros((1, 4, 3))}, "one array per exit, 2 in all"),
        ({"labels": [0, 1, 2, 3]}, r"`labels` must lie in \[0, 3\)"),
        ({"labels": [0.0] * 4}, "`labels` must be integers"),
        ({"kind": "trust"}, "`kind` must be one of"),
        ({"temperatures": [1.0, -1.0]}, "`temperature` must be"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {
        "logits": np.zeros((2, 4, 3)),
        "labels": np.zeros(4, int),
        "costs": [1, 2],
        "temperatures": [1.0, 1.0],
    }
    with pytest.raises(ValueError, match=message):
        calibration.calibrate(**arguments | change)
