import numpy as np
import pytest

from pipeline.gate import mcnemar
from pipeline.gate.losses import losses


def answers(images: int, *right: int) -> np.ndarray:
    """Class 1, the truth, for the first so many images, at each exit."""
    return np.array([np.arange(images) < each for each in right], int)


def lost(images: int, before: int, after: int, max_points: float):
    return losses(
        np.ones(images, int),
        answers(images, before),
        answers(images, after),
        max_points,
    )


@pytest.mark.parametrize(
    "images, before, after",
    [
        (100, 99, 99),
        (100, 98, 99),
        # Exactly one point, up to the rounding of the shares.
        (100, 99, 98),
        (360, 359, 360),
        (100, 7, 6),
    ],
)
def test_a_loss_of_just_what_is_allowed_is_none(images, before, after):
    assert lost(images, before, after, 1.0) == []


@pytest.mark.parametrize("before, after", [(990, 979), (1000, 0)])
def test_more_is_one(before, after):
    [found] = lost(1000, before, after, 1.0)
    assert (found.before, found.after) == (before / 1000, after / 1000)
    text = str(found)
    assert text.startswith(f"exit 0 lost {(before - after) / 10:.2f} points")
    assert f"{before / 10:.2f} % to {after / 10:.2f} %" in text
    assert "allowed: 1;" in text


def test_every_exit_that_lost_is_named():
    before, after = answers(100, 90, 90, 90), answers(100, 80, 90, 85)
    found = losses(np.ones(100, int), before, after, 2.5)
    assert [each.exit for each in found] == [0, 2]
    assert losses(np.ones(100, int), before, after, 10.0) == []


def test_nothing_may_be_allowed():
    assert lost(1000, 900, 900, 0.0) == []
    assert len(lost(1000, 900, 899, 0.0)) == 1


def test_chance_is_that_of_the_pairs():
    truth = np.ones(100, int)
    # Ten lost and four won: not the same as six lost.
    after = np.r_[np.zeros(10, int), np.ones(84, int), np.zeros(6, int)]
    before = np.r_[np.ones(90, int), np.zeros(10, int)]
    [found] = losses(truth, before[None], after[None], 1.0)
    assert found.p_value == mcnemar.p_value(before > 0, after > 0)
    assert found.p_value > lost(100, 90, 84, 1.0)[0].p_value


def test_exits_are_paired():
    with pytest.raises(ValueError):
        losses(np.ones(9, int), answers(9, 5, 5), answers(9, 5), 1.0)
