import dataclasses
import itertools

import numpy as np

from keras_dynamic.exits import Policy
from pipeline.pages import sliders
from pipeline.results import predictions

COSTS = [10, 25, 70]
POLICY = Policy(
    temperatures=(0.5, 1.0, 2.0),
    thresholds=(0.5, 0.5, 0.0),
    enabled=(True,) * 3,
)


def said(seed=0, images=100, classes=5):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images).astype(np.int32)
    # Few values, so that scores are equal now and then.
    logits = rng.integers(0, 4, (3, images, classes)).astype(np.float64)
    return predictions.Predictions(labels, logits)


def moves_with_every_step(policies, scores):
    """Whether each policy routes some image otherwise than the one before."""
    taken = [each.stops(scores) for each in policies]
    return all((a != b).any() for a, b in itertools.pairwise(taken))


def spent(policies, scores):
    return [np.take(COSTS, each.stops(scores)).mean() for each in policies]


def test_thresholds_rise_from_nobody_goes_on():
    scores = POLICY.scores(said().logits)
    found = sliders.same_threshold(POLICY, scores, COSTS)
    bars = [each.thresholds[0] for each in found]
    assert bars == sorted(set(bars))
    assert spent(found, scores)[0] == 10
    assert moves_with_every_step(found, scores)
    for each in found:
        assert each.thresholds == (each.thresholds[0],) * 2 + (0.0,)
        assert each.temperatures == POLICY.temperatures
        # Short enough to read.
        assert len(str(each.thresholds[0])) <= 12


def test_no_part_of_the_slider_does_nothing_where_scores_crowd():
    """Nearly all images are as sure as can be, as with digits."""
    rng = np.random.default_rng(0)
    missing = 10.0 ** -rng.uniform(1, 12, (3, 400))
    scores = 1.0 - missing
    scores[0, :380] = 1.0
    found = sliders.same_threshold(POLICY, scores, COSTS)
    assert len(found) > 10
    assert moves_with_every_step(found, scores)
    costs = spent(found, scores)
    assert costs == sorted(costs)


def test_steps_are_small_where_little_is_spent():
    scores = np.random.default_rng(0).uniform(size=(3, 5000))
    costs = spent(sliders.same_threshold(POLICY, scores, COSTS), scores)
    middle = costs[len(costs) // 2]
    assert middle < 10 + (70 - 10) / 2


def test_budgets_are_kept_on_the_calibration_images():
    calibration = said(1)
    policy = dataclasses.replace(POLICY, thresholds=(0.1, 0.2, 0.0))
    scores = policy.scores(said(2).logits)
    found = sliders.within_budget(policy, calibration, scores, COSTS)
    budgets = [each.fitted["budget"] for each in found]
    assert budgets[0] == 10
    assert budgets == sorted(set(budgets))
    assert budgets[-1] <= 70
    own = spent(found, policy.scores(calibration.logits))
    for each, cost, budget in zip(found, own, budgets, strict=True):
        assert each.temperatures == policy.temperatures
        assert cost <= budget
    assert own[0] < own[len(own) // 2] < own[-1]
    assert moves_with_every_step(found, scores)
