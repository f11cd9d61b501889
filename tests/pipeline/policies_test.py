import numpy as np
import pytest

from keras_dynamic import exits
from pipeline import config, policies
from pipeline.predictions import Predictions

MADDS = [100, 250, 600]


def fabricated(seed: int, images: int = 600) -> Predictions:
    """Three exits over four classes, each more often right than the last."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, images).astype(np.int32)
    difficulty = rng.exponential(1.0, (images, 1))
    logits = [
        strength * np.eye(4)[labels] / (0.3 + difficulty)
        + rng.normal(0.0, 1.0, (images, 4))
        for strength in (1.5, 3.0, 5.0)
    ]
    return Predictions(labels, np.stack(logits).astype(np.float32))


CALIBRATION, TEST = fabricated(0), fabricated(1)


def fit(**changes):
    settings = config.default().policy
    settings.update(changes)
    return policies.fit(settings, CALIBRATION, TEST, MADDS)


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({"rule": "accuracy_drop", "max_drop_points": 2.0}, 0.02),
        ({"rule": "budgeted_batch", "q": 0.7}, 0.7),
    ],
)
def test_the_policy_that_ships_comes_first(changes, target):
    policy, rows = fit(**changes)
    assert [row["bundle"] for row in rows] == [True] + [False] * 39
    assert rows[0]["policy"] == changes["rule"]
    assert rows[0]["target"] == pytest.approx(target)
    assert exits.Policy.from_dict(rows[0]["parameters"]) == policy


def test_the_papers_curve_follows():
    _, rows = fit()
    curve = rows[1:]
    assert {row["policy"] for row in curve} == {"budgeted_batch"}
    assert [row["target"] for row in curve] == pytest.approx(
        [0.05 * p for p in range(1, 40)]
    )
    means = [row["mean_madds"] for row in curve]
    assert means[0] < 0.5 * means[-1]
    shipped = fit(rule="budgeted_batch", q=0.5)[1][0]
    same = curve[9]
    for name in ("accuracy", "mean_madds", "exit_shares", "parameters"):
        assert shipped[name] == same[name]


@pytest.mark.parametrize("points", [0.0, 0.5, 3.0])
def test_the_drop_is_kept_on_the_calibration_split(points):
    policy, _ = fit(max_drop_points=points)
    found = exits.outcome(
        policy.route(CALIBRATION.logits),
        CALIBRATION.logits,
        CALIBRATION.labels,
        MADDS,
    )
    assert found.accuracy >= CALIBRATION.accuracies()[-1] - points / 100 - 1e-9


def test_a_larger_drop_is_cheaper():
    means = [
        fit(max_drop_points=points)[1][0]["mean_madds"]
        for points in (0.5, 3.0, 10.0)
    ]
    assert means == sorted(means, reverse=True)
    assert means[-1] < means[0] <= MADDS[-1]


def test_temperatures_are_those_of_the_calibration_split():
    policy, _ = fit()
    expected = [
        exits.fit_temperature(logits, CALIBRATION.labels).temperature
        for logits in CALIBRATION.logits
    ]
    assert list(policy.temperatures) == expected


def test_rows_say_what_the_policies_do_on_the_test_split():
    _, rows = fit()
    for row in (rows[0], rows[1], rows[20], rows[-1]):
        policy = exits.Policy.from_dict(row["parameters"])
        found = exits.outcome(
            policy.route(TEST.logits), TEST.logits, TEST.labels, MADDS
        )
        assert row["accuracy"] == found.accuracy
        assert row["mean_madds"] == found.mean_cost
        assert row["exit_shares"] == list(found.exit_shares)
        assert row["mean_latency_ms"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "budget"}, "`policy.rule` must be one of .*rule='budget'"),
        ({"rule": "budgeted_batch", "q": 0.0}, "`q` must be a finite positive"),
        ({"max_drop_points": -1.0}, "max_drop"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        fit(**changes)
