"""Tests of keras_dynamic.exits.fitting.scheduler_fit."""

import dataclasses

import numpy as np
import pytest

from keras_dynamic.exits.fitting.calibration import calibrate
from keras_dynamic.exits.fitting.scheduler_fit import (
    FASTER,
    Training,
    fit_scheduler,
)
from tests.support.random_exits import misleading

SHORT = dataclasses.replace(FASTER, epochs=20)
COSTS = [10, 40, 100]
UNIT = [1.0, 1.0, 1.0]


def scored_by(fit, logits, labels, temperatures):
    return calibrate(
        logits,
        labels,
        COSTS,
        temperatures,
        kind="scheduler",
        scheduler=fit.scheduler,
    )


def test_the_same_arguments_give_the_same_scheduler():
    logits, labels = misleading(2, 400)
    fits = [
        fit_scheduler(logits, labels, COSTS, UNIT, 50.0, SHORT)
        for _ in range(2)
    ]
    assert fits[0] == fits[1]
    other = dataclasses.replace(SHORT, seed=1)
    assert fit_scheduler(logits, labels, COSTS, UNIT, 50.0, other) != fits[0]


def test_scores_span_the_range_on_these_images():
    logits, labels = misleading(3, 400)
    fit = fit_scheduler(logits, labels, COSTS, [1.0, 0.8, 1.3], 50.0, SHORT)
    scored = scored_by(fit, logits, labels, [1.0, 0.8, 1.3])
    np.testing.assert_allclose(scored.scores.min(axis=1), 0.0, atol=1e-6)
    np.testing.assert_allclose(scored.scores.max(axis=1), 1.0, atol=1e-6)
    # No ties but those of equal images, by clipping.
    assert np.unique(scored.scores[0]).size > 390
    assert sum(fit.shares) == pytest.approx(1.0)


def test_without_an_epoch_to_spare_scores_rank_like_the_largest_probability():
    """The first turn learns scores; one step at a rate of almost 0."""
    logits, labels = misleading(4, 300)
    still = Training(epochs=1, learning_rate=1e-12, batch_size=1000)
    fit = fit_scheduler(logits, labels, COSTS, UNIT, 50.0, still)
    assert len(fit.losses) == 1
    scored = scored_by(fit, logits, labels, UNIT)
    plain = calibrate(logits, labels, COSTS, UNIT)
    for ours, theirs in zip(scored.scores, plain.scores, strict=True):
        low, high = theirs.min(), theirs.max()
        np.testing.assert_allclose(
            ours, (theirs - low) / (high - low), atol=1e-6
        )


def test_learning_lowers_the_loss_and_ends_when_it_no_longer_does():
    logits, labels = misleading(5, 500)
    fit = fit_scheduler(logits, labels, COSTS, UNIT, 50.0, FASTER)
    assert min(fit.losses) < 0.85 * fit.losses[0]
    idle = Training(epochs=1000, learning_rate=1e-300, tolerance=20, period=10)
    fit = fit_scheduler(logits, labels, COSTS, UNIT, 50.0, idle)
    assert len(fit.losses) == 3


def test_a_cheaper_budget_asks_for_earlier_exits():
    logits, labels = misleading(6, 500)
    strong = dataclasses.replace(FASTER, alpha_cost=1.0)
    means = [
        np.dot(
            fit_scheduler(logits, labels, COSTS, UNIT, budget, strong).shares,
            COSTS,
        )
        for budget in (40.0, 60.0)
    ]
    np.testing.assert_allclose(means, [40.0, 60.0], rtol=0.1)


def test_exits_that_say_nothing_are_allowed():
    labels = np.arange(20) % 4
    fit = fit_scheduler(np.zeros((3, 20, 4)), labels, COSTS, UNIT, 50.0, SHORT)
    scored = scored_by(fit, np.zeros((3, 20, 4)), labels, UNIT)
    assert (np.ptp(scored.scores, axis=1) < 1e-6).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": 9.0}, "`budget` must .* first exit's cost, 10"),
        ({"costs": [1, 1, 2]}, "`costs` must be increasing"),
        ({"logits": np.zeros((3, 9, 1))}, "C at least 2"),
        ({"logits": np.zeros((3, 0, 4)), "labels": []}, "N at least 1"),
        ({"logits": np.full((3, 9, 4), np.nan)}, r"`logits\[0\]` .* 9 of 9"),
        ({"labels": np.full(9, 4)}, r"`labels` must lie in \[0, 4\)"),
        ({"temperatures": [1.0]}, "`temperatures` must hold one per exit, 3"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {
        "logits": np.zeros((3, 9, 4)),
        "labels": np.zeros(9, int),
        "costs": COSTS,
        "temperatures": UNIT,
        "budget": 50.0,
    }
    with pytest.raises(ValueError, match=message):
        fit_scheduler(**arguments | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "`epochs` must be positive. Received: 0"),
        ({"learning_rate": -1.0}, "`learning_rate` must be positive"),
        ({"weight_decay": -1.0}, "`weight_decay` must be positive or 0"),
        ({"alpha_cost": np.nan}, "`alpha_cost` must be positive or 0"),
    ],
)
def test_bad_constants_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        Training(**change)
