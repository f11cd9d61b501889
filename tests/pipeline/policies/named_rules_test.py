import numpy as np
import pytest

from keras_dynamic import exits
from pipeline import config
from pipeline.policies import named_rules
from pipeline.results.predictions import Predictions

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
QUICK = {"scheduler": {"epochs": 20}}


def fit(**changes):
    settings = config.default().policy
    settings.update({"rule": "accuracy_drop", **changes})
    return named_rules.fit(settings, CALIBRATION, TEST, MADDS)


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({"rule": "accuracy_drop", "max_drop_points": 2.0}, 0.02),
        ({"rule": "budgeted_drop", "max_drop_points": 2.0}, 0.02),
        ({"rule": "promised_drop", "max_drop_points": 2.0}, 0.02),
        ({"rule": "budgeted_batch", "q": 0.7}, 0.7),
        ({"rule": "cost_budget", "budget": 0.4}, 0.4),
        ({"rule": "scheduler", "budget": 0.4, **QUICK}, 0.4),
        ({"rule": "conformal", "epsilon_points": 4.0}, 0.04),
        ({"rule": "upper_bound", "epsilon_points": 6.0}, 0.06),
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


def test_the_default_says_what_it_promises(caplog):
    """480 images, less a fifth for the temperatures, show no half a point."""
    policy, rows = fit(rule=config.default().policy.rule)
    assert rows[0]["status"] == policy.fitted["status"] == "kept_on_average"
    assert "480 images cannot show" in policy.fitted["promise"]
    assert policy.fitted["promise"] in caplog.text
    policy, _ = fit(rule=config.default().policy.rule, max_drop_points=2.0)
    assert "with probability 0.9 new images" in policy.fitted["promise"]


def test_a_policy_that_one_exit_beats_is_warned_of(caplog):
    """The first exit of these is the best one."""
    backwards = [
        Predictions(each.labels, each.logits[::-1])
        for each in (CALIBRATION, TEST)
    ]
    settings = config.default().policy
    settings.update({"rule": "budgeted_batch", "q": 2.0})
    named_rules.fit(settings, *backwards, MADDS)
    assert "at exit 0 is more accurate and costs no more" in caplog.text
    caplog.clear()
    settings.update({"rule": "promised_drop"})
    policy, _ = named_rules.fit(settings, *backwards, MADDS)
    assert (policy.route(backwards[1].logits) == 0).all()
    assert "more accurate" not in caplog.text


def on_calibration(policy, costs=MADDS):
    found = exits.outcome(
        policy.route(CALIBRATION.logits),
        CALIBRATION.logits,
        CALIBRATION.labels,
        costs,
    )
    return found.accuracy, found.mean_cost


@pytest.mark.parametrize("confidence", exits.KINDS)
@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "cost_budget"},
        {"rule": "budgeted_batch", "q": 0.0},
        {"rule": "scheduler"},
    ],
)
def test_the_budget_is_kept_on_the_calibration_split(changes, confidence):
    policy, _ = fit(budget=0.45, confidence=confidence, **QUICK, **changes)
    _, cost = on_calibration(policy)
    assert cost == policy.fitted["mean_cost"] <= 0.45 * MADDS[-1]
    assert policy.fitted["rule"] == changes["rule"]
    assert policy.fitted["budget"] == pytest.approx(0.45 * MADDS[-1])
    assert policy.fitted["unit"] == "multiply-adds"
    assert policy.fitted["images"] == 600
    kind = "scheduler" if changes["rule"] == "scheduler" else confidence
    assert policy.kind == kind


def test_a_budget_of_milliseconds():
    times = (1.0, 2.0, 2.1)
    policy, rows = fit(rule="cost_budget", budget=0.8, exit_ms=times)
    _, cost = on_calibration(policy, times)
    assert cost == policy.fitted["mean_cost"] <= 0.8 * 2.1
    assert policy.fitted["unit"] == "ms"
    assert rows[0]["mean_madds"] > 100


def test_a_budget_for_everything_is_said(caplog):
    _, rows = fit(rule="cost_budget", budget=1.0)
    assert rows[0]["status"] == "last_exit_affordable"
    assert rows[1]["status"] == "fitted"


@pytest.mark.parametrize("confidence", ["max_probability", "scheduler"])
@pytest.mark.parametrize("rule", ["conformal", "upper_bound"])
def test_a_bounded_loss_is_fitted_on_images_of_its_own(rule, confidence):
    policy, rows = fit(
        rule=rule, epsilon_points=6.0, confidence=confidence, **QUICK
    )
    assert rows[0]["status"] == "controlled"
    facts = policy.fitted
    assert facts["rule"] == rule
    # A fifth of the images has fitted temperatures and scheduler.
    assert facts["images"] == 480
    assert (facts["epsilon"], facts["risk"]) == (0.06, "accuracy_gap")
    assert "at most 0.06" in facts["promise"] and "bound" not in facts
    assert policy.thresholds[0] == policy.thresholds[1] == facts["level"]
    order = np.random.default_rng(0).permutation(600)[:120]
    expected = [
        exits.fit_temperature(logits[order], CALIBRATION.labels[order])
        for logits in CALIBRATION.logits
    ]
    assert policy.temperatures == tuple(fit.temperature for fit in expected)


@pytest.mark.parametrize("rule", ["conformal", "upper_bound"])
def test_if_nothing_is_safe_every_image_goes_to_the_last_exit(rule, caplog):
    policy, rows = fit(rule=rule, epsilon_points=0.0)
    assert policy.enabled == (False, False, True)
    assert rows[0]["status"] == policy.fitted["status"] == "last_exit_only"
    assert rows[0]["exit_shares"] == [0.0, 0.0, 1.0]
    assert rows[0]["accuracy"] == TEST.accuracies()[-1]
    assert "every image goes to the last exit" in caplog.text


def test_temperatures_are_those_of_the_calibration_split():
    policy, _ = fit()
    expected = [
        exits.fit_temperature(logits, CALIBRATION.labels).temperature
        for logits in CALIBRATION.logits
    ]
    assert list(policy.temperatures) == expected


@pytest.mark.parametrize("rule", exits.RULES)
def test_with_one_exit_every_image_stops_there(rule):
    settings = config.default().policy
    settings.rule = rule
    calibration, test = (
        Predictions(found.labels, found.logits[-1:])
        for found in (CALIBRATION, TEST)
    )
    policy, [row] = named_rules.fit(settings, calibration, test, [600])
    assert (policy.thresholds, policy.enabled) == ((0.0,), (True,))
    assert row["bundle"]
    assert row["accuracy"] == test.accuracies()[0]
    assert (row["mean_madds"], row["exit_shares"]) == (600, [1.0])


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
        ({"rule": "budget"}, "`policy.rule`"),
        (
            {"rule": "budgeted_batch", "q": -1.0},
            "`q`",
        ),
        ({"max_drop_points": -1.0}, "max_drop"),
        (
            {"confidence": "trust"},
            "`policy.confidence`",
        ),
        (
            {"rule": "cost_budget", "budget": 0.1},
            "`policy.budget`",
        ),
        ({"rule": "cost_budget", "budget": np.inf}, "a finite share"),
        (
            {"rule": "cost_budget", "exit_ms": (1.0, 2.0)},
            "`policy.exit_ms`",
        ),
        (
            {"rule": "cost_budget", "exit_ms": (1.0, 2.0, 1.5)},
            "`costs`",
        ),
        ({"rule": "conformal", "risk": "brier"}, "`risk`"),
        ({"rule": "conformal", "epsilon_points": -1.0}, "`epsilon`"),
        ({"rule": "upper_bound", "delta": 0.0}, "`delta`"),
        (
            {"rule": "scheduler", "scheduler": {"epochs": 0}},
            "`epochs`",
        ),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        fit(**changes)
