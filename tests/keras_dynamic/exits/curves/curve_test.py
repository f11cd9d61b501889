"""Tests of keras_dynamic.exits.curves.curve."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.curves.curve import (
    Curve,
    answers,
    anytime,
    area,
    budgeted,
    closed,
    envelope,
)
from keras_dynamic.exits.decision.outcome import outcome
from keras_dynamic.exits.fitting.budgeted_batch import budgeted_batch
from keras_dynamic.exits.fitting.calibration import calibrate


def fabricated(seed, exits=3, images=300, classes=4):
    """Logits [K, N, C] that get better with depth, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    strength = np.linspace(1.0, 3.0, exits)[:, None, None]
    logits = strength * np.eye(classes)[labels]
    return logits + rng.normal(size=logits.shape), labels


def test_anytime_is_each_exit_alone():
    logits, labels = fabricated(0)
    found = anytime(answers(logits, labels), [10, 20, 40])
    assert found == Curve(
        targets=(0, 1, 2),
        costs=(10.0, 20.0, 40.0),
        accuracies=tuple((logits.argmax(-1) == labels).mean(axis=1)),
    )


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(1, 6),
    images=st.integers(1, 60),
)
def test_budgeted_is_what_the_policies_give(seed, exits, images):
    calibration = fabricated(seed, exits, images)
    test = fabricated(seed + 1, exits, images + 7)
    costs = np.cumsum(np.arange(1, exits + 1))
    found = budgeted(answers(*calibration), answers(*test), costs)
    for curve, (logits, labels) in zip(found, (calibration, test), strict=True):
        assert curve.targets == tuple(p / 20 for p in range(1, 40))
        for i in range(0, 39, 6):
            images = calibrate(*calibration, costs, (1.0,) * exits)
            policy = budgeted_batch(images, q=curve.targets[i]).policy
            expected = outcome(policy.route(logits), logits, labels, costs)
            assert curve.accuracies[i] == expected.accuracy
            assert curve.costs[i] == pytest.approx(expected.mean_cost)


def test_temperatures_change_the_confidences():
    logits, labels = fabricated(0)
    cold = answers(logits, labels, (0.5, 1.0, 1.0))
    plain = answers(logits, labels)
    assert (cold.confidences[0] >= plain.confidences[0]).all()
    np.testing.assert_array_equal(cold.confidences[1:], plain.confidences[1:])
    np.testing.assert_array_equal(cold.right, plain.right)


def test_a_model_with_one_exit_has_a_curve_of_one_place():
    calibration, test = fabricated(0, exits=1), fabricated(1, exits=1)
    said = [answers(*each) for each in (calibration, test)]
    exits = anytime(said[1], [7])
    assert (exits.targets, exits.costs) == ((0,), (7.0,))
    _, swept = budgeted(*said, [7])
    assert set(swept.costs) == {7.0}
    assert set(swept.accuracies) == set(exits.accuracies)
    assert area(exits) == exits.accuracies[0]
    assert area(closed(swept, exits)) == pytest.approx(exits.accuracies[0])
    assert envelope(exits) == [0]


def test_closed_adds_the_ends():
    exits = Curve((0, 1), (10.0, 40.0), (0.5, 0.9))
    found = closed(Curve((1.0,), (20.0,), (0.8,)), exits)
    assert found.costs == (10.0, 20.0, 40.0)
    assert found.accuracies == (0.5, 0.8, 0.9)


def line(costs, accuracies):
    return Curve(tuple(range(len(costs))), tuple(costs), tuple(accuracies))


@st.composite
def drawn(draw):
    costs = draw(st.lists(st.integers(1, 50), min_size=1, max_size=8))
    return line(costs, [draw(st.floats(0, 1)) for _ in costs])


def test_the_area_of_simple_curves():
    assert area(line([10, 30], [0.5, 0.5])) == pytest.approx(0.5)
    assert area(line([10, 30], [0.5, 0.7])) == pytest.approx(0.6)
    # 10 of 20 at a mean of 0.6, 10 at 0.8.
    assert area(line([10, 30, 20], [0.4, 0.8, 0.8])) == pytest.approx(0.7)
    assert area(line([10, 30], [0.5, 0.7]), 20, 30) == pytest.approx(0.65)
    assert area(line([10, 30], [0.5, 0.7]), 20, 20) == pytest.approx(0.6)
    # Points of equal cost count with their mean.
    assert area(line([10, 30, 30], [0.5, 0.6, 0.8]), 10, 30) == pytest.approx(
        0.6
    )


@given(drawn(), st.floats(0, 1), st.floats(0, 1))
def test_the_area_against_a_fine_sum(curve, first, second):
    lowest, highest = min(curve.costs), max(curve.costs)
    low, high = (
        lowest + share * (highest - lowest) for share in sorted((first, second))
    )
    low, high = max(low, lowest), min(high, highest)
    found = area(curve, low, high)
    assert min(curve.accuracies) - 1e-9 <= found <= max(curve.accuracies) + 1e-9
    costs = sorted(set(curve.costs))
    means = [
        np.mean(
            [
                accuracy
                for cost, accuracy in zip(
                    curve.costs, curve.accuracies, strict=True
                )
                if cost == each
            ]
        )
        for each in costs
    ]
    middles = low + (np.arange(20_000) + 0.5) / 20_000 * (high - low)
    assert found == pytest.approx(
        np.interp(middles, costs, means).mean(), abs=1e-3
    )


@given(drawn())
def test_the_unit_of_cost_cancels_out(curve):
    scaled = line([1e6 * cost for cost in curve.costs], curve.accuracies)
    assert area(scaled) == pytest.approx(area(curve))


@given(drawn())
def test_the_envelope_keeps_what_nothing_cheaper_reaches(curve):
    kept = envelope(curve)
    points = list(zip(curve.costs, curve.accuracies, strict=True))
    flat = [points[i] for i in kept]
    assert flat == sorted(flat)
    assert len({accuracy for _, accuracy in flat}) == len(flat)
    for cost, accuracy in points:
        reached = max(a for c, a in flat if c <= cost)
        assert reached == max(a for c, a in points if c <= cost)
        assert reached >= accuracy


def test_the_envelope_is_chosen_on_one_split_and_read_on_the_other():
    calibration = line([10, 20, 30], [0.5, 0.4, 0.6])
    test = line([11, 21, 31], [0.45, 0.7, 0.4])
    kept = test.take(envelope(calibration))
    assert kept == Curve((0, 2), (11, 31), (0.45, 0.4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Curve((), (), ()), "at least one point"),
        (lambda: Curve((1,), (1.0, 2.0), (0.5,)), "equally long"),
        (
            lambda: area(line([10, 30], [0.5, 0.7]), 5, 20),
            "`low` and `high` must lie in .* 10 to 30. Received: 5 and 20",
        ),
        (
            lambda: area(line([10, 30], [0.5, 0.7]), 25, 20),
            "`low` and `high`",
        ),
        (
            lambda: anytime(answers(*fabricated(0)), [1, 2]),
            "`costs` must hold one per exit, 3 in all. Received: 2",
        ),
        (
            lambda: anytime(answers(*fabricated(0)), [1, 3, 2]),
            "`costs` must be increasing",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
