"""Tests of the rules that control a risk: conformal and upper_bound."""

import numpy as np
import pytest

from keras_dynamic.exits.decision import confidence
from keras_dynamic.exits.decision.outcome import correct, outcome
from keras_dynamic.exits.decision.policy import Policy
from keras_dynamic.exits.fitting.calibration import calibrate
from keras_dynamic.exits.fitting.conformal import conformal
from keras_dynamic.exits.fitting.risk_control import LEVELS, RISKS
from keras_dynamic.exits.fitting.upper_bound import upper_bound

COSTS = [10, 30, 100]
TEMPERATURES = [1.0, 0.8, 0.6]
MANY_LEVELS = LEVELS[::10]
FEW_LEVELS = [0.99, 0.96, 0.93, 0.9, 0.87, 0.8]


def conformal_of(logits, labels, costs, temperatures, epsilon, **rest):
    measure = {"kind": rest.pop("kind", "max_probability")}
    images = calibrate(logits, labels, costs, temperatures, **measure)
    return conformal(images, epsilon, **rest)


def upper_bound_of(
    logits, labels, costs, temperatures, epsilon, delta=0.1, **rest
):
    measure = {"kind": rest.pop("kind", "max_probability")}
    images = calibrate(logits, labels, costs, temperatures, **measure)
    return upper_bound(images, epsilon, delta, **rest)


RULES = {"conformal": conformal_of, "upper_bound": upper_bound_of}
EPSILONS = [0.0, 0.005, 0.02, 0.05, 0.1, 0.3, 1.0]


def images(seed, number):
    """Logits of three ever better exits, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, number)
    difficulty = rng.normal(size=number)
    logits = rng.normal(size=(3, number, 4))
    logits[:, np.arange(number), labels] += (
        1.2 + 0.8 * np.arange(3)[:, np.newaxis] - difficulty
    )
    return 2.0 * logits, labels


def losses(logits, labels, risk, policy):
    """What the policy loses on each image against the last exit."""
    exits = policy.route(logits)
    last = np.argmax(logits[-1], axis=1)
    taken = np.argmax(logits[exits, np.arange(len(exits))], axis=1)
    if risk == "inconsistency":
        return (taken != last).astype(float)
    return (taken != labels).astype(float) - (last != labels)


def at_level(level):
    return Policy(
        temperatures=TEMPERATURES,
        thresholds=[level, level, 0.0],
        enabled=[True, True, True],
    )


def simulated(rule, risk, splits=1000, calibration=250):
    """The true risks that calibrations on random images lead to, [splits].

    The images are drawn from a population, with replacement: the risk in the
    population is the true one. Epsilon is a little below that of a level, where
    a mistake is likeliest. Also returns the true risks of the naive rule, which
    takes the loosest level that loses at most epsilon on the calibration
    images, and epsilon.
    """
    logits, labels = images(1, 5000)
    table = np.stack(
        [losses(logits, labels, risk, at_level(each)) for each in FEW_LEVELS]
    )
    true = np.append(table.mean(axis=1), 0.0)
    epsilon = 0.99 * true[3]
    rng = np.random.default_rng(2)
    risks, naive = [], []
    for _ in range(splits):
        drawn = rng.integers(0, len(labels), calibration)
        got = RULES[rule](
            logits[:, drawn],
            labels[drawn],
            COSTS,
            TEMPERATURES,
            epsilon=epsilon,
            risk=risk,
            levels=FEW_LEVELS,
        )
        index = (
            FEW_LEVELS.index(got.facts.get("level"))
            if got.facts.get("level") is not None
            else -1
        )
        risks.append(true[index])
        below = np.flatnonzero(table[:, drawn].mean(axis=1) <= epsilon)
        naive.append(true[below[-1]] if below.size else 0.0)
    return np.array(risks), np.array(naive), epsilon


@pytest.mark.parametrize("risk", RISKS)
def test_the_upper_bound_fails_no_more_often_than_delta(risk):
    risks, naive, epsilon = simulated("upper_bound", risk)
    allowed = 0.1 + 3.0 * np.sqrt(0.1 * 0.9 / len(risks))
    assert np.mean(risks > epsilon) <= allowed
    assert np.mean(naive > epsilon) > 2 * allowed
    assert np.mean(risks != 0.0) > 0.8


@pytest.mark.parametrize("risk", RISKS)
def test_the_conformal_risk_is_on_average_at_most_epsilon(risk):
    risks, _, epsilon = simulated("conformal", risk)
    error = risks.std() / np.sqrt(len(risks))
    assert risks.mean() <= epsilon + 3.0 * error
    assert np.mean(risks != 0.0) > 0.8


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("risk", RISKS)
def test_the_conformal_level_equals_the_definition(risk, seed):
    logits, labels = images(seed, 300)
    largest = np.zeros(300)
    reference = {}
    for level in MANY_LEVELS:
        each = losses(logits, labels, risk, at_level(level))
        largest = np.maximum(largest, each)
        reference[level] = 300 / 301 * largest.mean() + 1 / 301
    for epsilon in EPSILONS[:-1]:
        got = conformal_of(
            logits,
            labels,
            COSTS,
            TEMPERATURES,
            epsilon,
            risk=risk,
            levels=MANY_LEVELS,
        )
        allowed = [each for each in MANY_LEVELS if reference[each] <= epsilon]
        assert got.facts.get("level") == min(allowed, default=None)


def wealth(losses, risk, delta):
    """The highest wealth on the way, computed image by image."""
    total, squares, variance, now, highest = 0.5, 0.25, 0.25, 1.0, 1.0
    for number, loss in enumerate(losses, start=1):
        stake = np.sqrt(2 * np.log(1 / delta) / (len(losses) * variance))
        now *= 1.0 - min(stake, 1.0) * (loss - risk)
        highest = max(highest, now)
        total += loss
        squares += (loss - total / (number + 1)) ** 2
        variance = squares / (number + 1)
    return highest


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("risk", RISKS)
@pytest.mark.parametrize("delta", [0.01, 0.3])
def test_the_upper_bound_equals_the_definition(risk, seed, delta):
    logits, labels = images(seed, 400)
    order = np.random.default_rng(0).permutation(400)
    got = upper_bound_of(
        logits,
        labels,
        COSTS,
        TEMPERATURES,
        0.1,
        delta,
        risk=risk,
        levels=MANY_LEVELS,
    )
    found = MANY_LEVELS.index(got.facts.get("level"))
    for level in MANY_LEVELS[: found + 2]:
        each = losses(logits, labels, risk, at_level(level))[order]
        assert (wealth(each, 0.1, delta) > 1 / delta) == (
            level >= got.facts.get("level")
        )


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("risk", RISKS)
def test_a_larger_epsilon_never_costs_more_and_the_facts_hold(rule, risk):
    logits, labels = images(5, 600)
    costs = []
    for epsilon in EPSILONS:
        got = rule(
            logits, labels, COSTS, TEMPERATURES, epsilon=epsilon, risk=risk
        )
        scored = outcome(got.policy.route(logits), logits, labels, COSTS)
        assert got.facts["mean_cost"] == pytest.approx(scored.mean_cost)
        assert got.facts["calibration_risk"] == pytest.approx(
            losses(logits, labels, risk, got.policy).mean()
        )
        costs.append(got.facts["mean_cost"])
    assert costs == sorted(costs, reverse=True)
    assert costs[0] == 100.0
    assert costs[-1] == 10.0


PROMISES = {
    "conformal": "on average over calibrations accuracy_gap is at most 0.08; "
    "that of this one may be more",
    "upper_bound": "with probability 0.9 accuracy_gap is at most 0.08",
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", ["margin", "entropy", "patience"])
def test_every_kind_keeps_the_bound_and_says_so(rule, kind):
    logits, labels = images(6, 1000)
    got = RULES[rule](
        logits, labels, COSTS, TEMPERATURES, epsilon=0.08, kind=kind
    )
    scored = outcome(got.policy.route(logits), logits, labels, COSTS)
    assert scored.mean_cost == pytest.approx(got.facts["mean_cost"])
    assert got.facts["mean_cost"] < 100
    last = correct(logits, labels, 3)[-1].mean()
    assert last - scored.accuracy == pytest.approx(
        got.facts["calibration_risk"]
    )
    assert got.policy.kind == kind
    assert got.policy.fitted == {
        "rule": rule,
        "epsilon": 0.08,
        "risk": "accuracy_gap",
        "level": got.facts.get("level"),
        "status": "controlled",
        "promise": PROMISES[rule],
        "calibration_risk": got.facts["calibration_risk"],
        "mean_cost": got.facts["mean_cost"],
        "images": 1000,
        **({"delta": 0.1} if rule == "upper_bound" else {}),
    }


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_smaller_delta_or_fewer_images_allow_less(rule):
    logits, labels = images(6, 1000)
    few = rule(logits[:, :100], labels[:100], COSTS, TEMPERATURES, epsilon=0.05)
    many = rule(logits, labels, COSTS, TEMPERATURES, epsilon=0.05)
    assert few.facts["mean_cost"] > many.facts["mean_cost"]
    levels = [
        upper_bound_of(logits, labels, COSTS, TEMPERATURES, 0.05, delta).facts[
            "level"
        ]
        for delta in (0.001, 0.1, 0.5)
    ]
    assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize(("number", "epsilon"), [(600, 0.0), (10, 0.05)])
def test_without_a_safe_level_every_image_goes_to_the_last_exit(
    rule, number, epsilon
):
    logits, labels = images(7, number)
    got = rule(logits, labels, COSTS, TEMPERATURES, epsilon=epsilon)
    assert (got.status, got.facts.get("level")) == ("last_exit_only", None)
    assert (got.facts["calibration_risk"], got.facts["mean_cost"]) == (0, 100)
    assert got.policy.enabled == (False, False, True)
    assert (got.policy.route(logits) == 2).all()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_single_exit_is_the_last_one(rule):
    logits, labels = images(8, 600)
    got = rule(logits[:1], labels, [10], [1.0], epsilon=1.0)
    assert (got.status, got.facts["mean_cost"]) == ("last_exit_only", 10.0)
    assert got.policy.enabled == (True,)


def test_early_exits_that_are_better_are_allowed_at_an_epsilon_of_zero():
    labels = np.zeros(200, np.int64)
    logits = np.zeros((2, 200, 2))
    logits[0, :, 0] = 5.0
    logits[1, :, 0] = np.where(np.arange(200) < 150, 5.0, -5.0)
    got = upper_bound_of(
        logits, labels, [1, 2], [1.0, 1.0], 0.0, 0.1, levels=[0.9]
    )
    assert (got.status, got.facts["mean_cost"]) == ("controlled", 1.0)
    assert got.facts["calibration_risk"] == -0.25


def test_an_image_that_was_lost_stays_lost_for_the_conformal_rule():
    """Each level loses half of the images, but not the same ones."""
    labels = np.zeros(100, np.int64)
    logits = np.zeros((3, 100, 2))
    logits[0, :50, 0], logits[0, 50:, 1] = 1.0, 1.0
    logits[1, :50, 1] = 3.0
    logits[2, :, 0] = 5.0
    strict, loose = 0.9, confidence.max_probability(logits[0, 0])
    for levels in ([strict], [loose], [strict, loose]):
        got = conformal_of(logits, labels, COSTS, [1.0] * 3, 0.6, levels=levels)
        assert (got.facts.get("level"), got.facts["calibration_risk"]) == (
            levels[0],
            0.5,
        )


BAD = {
    "epsilon below": ({"epsilon": -0.01}, r"`epsilon` .* \[0, 1\]"),
    "epsilon above": ({"epsilon": 1.01}, "`epsilon` .* Received: 1.01"),
    "epsilon nan": ({"epsilon": np.nan}, "`epsilon` .* Received: nan"),
    "risk": ({"risk": "brier"}, "`risk` must be one of .* Received: 'brier'"),
    "no images": (
        {"logits": np.zeros((3, 0, 4)), "labels": np.zeros(0, int)},
        r"`logits\[0\]` must be \[N, C\], N at least 1 and C at least 2",
    ),
    "other labels": ({"labels": np.zeros(19, int)}, "`labels` .* shape"),
    "label above": ({"labels": np.full(20, 4)}, r"`labels` .* \[0, 4\)"),
    "label below": ({"labels": np.full(20, -1)}, r"`labels` .* \[0, 4\)"),
    "exits": ({"logits": np.zeros((2, 20, 4))}, "one array per exit, 3"),
    "costs": ({"costs": [10, 10, 20]}, "`costs` must be increasing"),
    "costs nan": ({"costs": [1.0, 2.0, np.nan]}, "`costs` must be .* finite"),
    "one class": ({"logits": np.zeros((3, 20, 1))}, "C at least 2"),
    "temperatures": ({"temperatures": [1.0]}, "`temperatures` must hold one"),
    "temperature": ({"temperatures": [1, 1, 0]}, "`temperature` must be"),
    "no levels": ({"levels": []}, "`levels` must be decreasing"),
    "rising levels": ({"levels": [0.1, 0.2]}, "`levels` must be decreasing"),
    "level above": ({"levels": [1.5, 0.2]}, r"`levels` .* \[0, 1\]"),
    "nan level": ({"levels": [np.nan]}, r"`levels` .* \[0, 1\]"),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize(("change", "match"), BAD.values(), ids=BAD)
def test_bad_arguments_are_named(rule, change, match):
    logits, labels = images(9, 20)
    arguments = {
        "logits": logits,
        "labels": labels,
        "costs": COSTS,
        "temperatures": TEMPERATURES,
        "epsilon": 0.1,
    }
    with pytest.raises(ValueError, match=match):
        rule(**arguments | change)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_logits_that_are_not_finite_are_counted(rule):
    logits, labels = images(9, 20)
    logits[1, [3, 4], 0] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"`logits\[1\]`"):
        rule(logits, labels, COSTS, TEMPERATURES, epsilon=0.1)


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, np.nan])
def test_delta_must_be_a_probability_between_zero_and_one(delta):
    logits, labels = images(9, 20)
    with pytest.raises(ValueError, match=r"`delta`"):
        upper_bound_of(logits, labels, COSTS, TEMPERATURES, 0.1, delta)
