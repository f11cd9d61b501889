"""Tests of keras_dynamic.exits.fitting.promised_drop."""

import numpy as np
import pytest

from keras_dynamic.exits.decision.outcome import correct, tally
from keras_dynamic.exits.fitting.accuracy_drop import accuracy_drop
from keras_dynamic.exits.fitting.budgeted_drop import budgeted_drop
from keras_dynamic.exits.fitting.calibration import calibrate
from keras_dynamic.exits.fitting.conformal import conformal
from keras_dynamic.exits.fitting.promised_drop import promised_drop
from tests.support.random_exits import misleading, problem

POPULATION, EXITS = 15_000, 5
# Of 60 draws, two standard deviations above a tenth.
SELDOM = 0.178


def lost(fit, images: int, draws: int, case, max_drop: float) -> np.ndarray:
    """What policies fitted to random images lose in the population, [draws]."""
    logits, labels, costs = case
    right = correct(logits, labels, len(costs))
    rng = np.random.default_rng(7)
    found = []
    for _ in range(draws):
        drawn = rng.choice(POPULATION, images, replace=False)
        known = calibrate(
            logits[:, drawn], labels[drawn], costs, [1.0] * len(costs)
        )
        got = tally(fit(known, max_drop).policy.route(logits), right, costs)
        found.append(right[-1].mean() - got.accuracy)
    return np.array(found)


def promising(known, max_drop):
    return promised_drop(known, max_drop, 0.1)


def test_new_images_lose_more_no_more_often_than_delta():
    """What looks best on some images does nearly always."""
    case, drop = problem(1, EXITS, POPULATION), 0.01
    risky = lost(accuracy_drop, 800, 10, case, drop)
    assert (risky > drop).mean() >= 0.9
    kept = lost(promising, 800, 60, case, drop)
    assert (kept > drop).mean() <= SELDOM
    # It lets images leave all the same.
    assert len(set(kept)) > 20


def test_single_exits_lose_more_no_more_often_than_delta():
    """The first exit alone loses a little more than is allowed."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, POPULATION)
    logits = np.zeros((2, POPULATION, 2))
    rows = np.arange(POPULATION)
    for exit, share in enumerate((0.889, 0.9)):
        said = np.where(rng.random(POPULATION) < share, labels, 1 - labels)
        # Sure of all of them: one level for all images.
        logits[exit, rows, said] = 9.0
    found = lost(promising, 2000, 60, (logits, labels, [1, 2]), 0.01)
    assert (found > 0.01).mean() <= SELDOM


def test_it_says_what_it_promises_and_gives():
    logits, labels, costs = problem(3, EXITS, 2000)
    known = calibrate(logits, labels, costs, [1.0] * EXITS)
    found = promised_drop(known, 0.02, 0.05)
    got = tally(found.policy.route(logits), known.right, known.costs)
    assert found.facts == {
        "rule": "promised_drop",
        "max_drop": 0.02,
        "delta": 0.05,
        "level": found.policy.thresholds[0],
        "status": "controlled",
        "promise": "with probability 0.95 new images lose at most 2 points of "
        "the last exit's accuracy",
        "accuracy": pytest.approx(got.accuracy),
        "mean_cost": pytest.approx(got.mean_cost),
        "images": 2000,
    }


@pytest.mark.parametrize(
    ("images", "drop", "more"),
    [(150, 0.005, "could"), (2000, 0.0, "no number of images could")],
)
def test_too_few_images_take_no_early_exit_and_say_so(images, drop, more):
    case = problem(4, EXITS, images)
    known = calibrate(*case, [1.0] * EXITS)
    found = promised_drop(known, drop, 0.1)
    assert found.status == "too_few_images"
    assert "every image goes to the last exit" in found.facts["promise"]
    assert found.facts["promise"].endswith(more)
    assert (found.policy.route(case[0]) == EXITS - 1).all()
    assert found.facts["mean_cost"] == known.costs[-1]
    assert found.facts["rule"] == "promised_drop"


def test_a_loss_that_few_images_cannot_show_is_kept_on_average():
    case, drop, images = problem(1, EXITS, POPULATION), 0.01, 160
    logits, labels, costs = case
    known = calibrate(logits[:, :images], labels[:images], costs, [1.0] * EXITS)
    found = promised_drop(known, drop, 0.1)
    assert found.status == "kept_on_average"
    assert found.facts["promise"].startswith("on average")
    assert found.facts["promise"].endswith("could")
    weaker = conformal(known, drop).policy
    assert found.policy.thresholds == weaker.thresholds
    assert found.policy.fitted["mean_cost"] < known.costs[-1]
    losses = lost(promising, images, 40, case, drop)
    assert losses.mean() <= drop
    # What merely looks best loses more.
    assert losses.mean() < lost(budgeted_drop, images, 20, case, drop).mean()


def test_as_many_images_as_it_names_are_enough():
    """An exit that loses nothing is taken."""

    def fitted(images):
        logits = np.zeros((2, images, 2))
        logits[:, :, 0] = 5.0
        known = calibrate(logits, np.zeros(images, int), [1, 2], [1.0, 1.0])
        return promised_drop(known, 0.01, 0.1)

    few = fitted(90)
    assert few.status == "too_few_images"
    needed = int(few.facts["promise"].split()[-2])
    assert fitted(needed).status == "controlled"
    assert fitted(needed // 2).status == "kept_on_average"


def test_an_exit_that_beats_the_last_one_takes_all():
    logits, labels = misleading(0, 3000)
    logits[[0, 2]] = logits[[2, 0]]
    known = calibrate(logits, labels, [1, 2, 3], [1.0] * 3)
    found = promised_drop(known, 0.005, 0.1)
    assert found.facts["mean_cost"] == 1.0
    assert (found.policy.route(logits) == 0).all()


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, float("nan")])
def test_delta_is_a_probability(delta):
    known = calibrate(*problem(0, 2, 20), [1.0] * 2)
    with pytest.raises(ValueError, match="`delta`"):
        promised_drop(known, 0.01, delta)
