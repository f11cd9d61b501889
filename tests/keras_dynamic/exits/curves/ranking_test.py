"""Tests of keras_dynamic.exits.curves.ranking."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dynamic.exits.curves.ranking import Ranking, ranking


@st.composite
def answers(draw):
    """Confidences with many ties, and what was right."""
    pairs = draw(
        st.lists(
            st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30
        )
    )
    sure, right = zip(*pairs, strict=True)
    return np.array(sure) / 7, np.array(right)


def pairwise_auroc(sure, right):
    """Asks every pair of a right and a wrong answer."""
    pairs = list(itertools.product(sure[right], sure[~right]))
    if not pairs:
        return None
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)


def counted_aurc(sure, right):
    """Asks, for each n, how probably each wrong answer is among the n surest.

    Images of equal confidence are in random order.
    """
    risks = []
    for n in range(1, sure.size + 1):
        errors = 0.0
        for value in sure[~right]:
            above = np.count_nonzero(sure > value)
            equal = np.count_nonzero(sure == value)
            errors += np.clip((n - above) / equal, 0.0, 1.0)
        risks.append(errors / n)
    return np.mean(risks)


@given(answers())
def test_against_all_pairs(case):
    sure, right = case
    found = ranking(sure, right)
    assert found.auroc == pytest.approx(pairwise_auroc(sure, right))
    assert found.aurc == pytest.approx(counted_aurc(sure, right))
    best = counted_aurc(right.astype(float), right)
    assert found.excess_aurc == pytest.approx(found.aurc - best, abs=1e-12)
    assert found.excess_aurc >= 0.0


@given(answers(), st.randoms(use_true_random=False))
def test_neither_order_nor_scale_matters(case, random):
    sure, right = case
    order = random.sample(range(sure.size), sure.size)
    found = ranking(np.exp(3 * sure)[order], right[order])
    expected = ranking(sure, right)
    assert found.auroc == expected.auroc
    assert found.aurc == pytest.approx(expected.aurc)


@given(answers())
def test_the_opposite_confidence_has_the_opposite_auroc(case):
    sure, right = case
    found = ranking(sure, right).auroc
    if found is not None:
        assert ranking(-sure, right).auroc == pytest.approx(1.0 - found)


def test_a_worked_example():
    # Error rates of the 1 to 4 surest: 0, 1/2, 1/3, 1/2; at best 0, 0, 1/3.
    found = ranking([0.9, 0.8, 0.7, 0.6], np.array([True, False, True, False]))
    assert found.auroc == 0.75
    assert found.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert found.excess_aurc == pytest.approx(1 / 2 / 4)


def test_all_equally_sure():
    right = np.array([True] * 3 + [False])
    found = ranking(np.full(4, 0.5), right)
    assert (found.auroc, found.aurc) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, Ranking(None, 0.0, 0.0)), (False, Ranking(None, 1.0, 0.0))],
)
@pytest.mark.parametrize("images", [1, 5])
def test_nothing_to_tell_apart(value, expected, images):
    sure = np.linspace(0.1, 0.9, images)
    assert ranking(sure, np.full(images, value)) == expected


def test_a_large_split():
    rng = np.random.default_rng(0)
    sure = rng.uniform(size=100_000)
    # The error rate falls from 1/2 to 0 with the confidence u: 1/2 - u/2.
    found = ranking(sure, rng.uniform(size=sure.size) < (1 + sure) / 2)
    assert found.auroc == pytest.approx(13 / 18, abs=0.01)
    # Risk at coverage c is c / 4.
    assert found.aurc == pytest.approx(1 / 8, abs=0.005)


@pytest.mark.parametrize(
    ("sure", "right", "message"),
    [
        ([], np.array([], bool), r"`confidences` must be finite numbers \[N\]"),
        ([[0.5]], np.array([True]), "`confidences` must be finite"),
        ([0.5, np.nan], np.array([True, False]), "1 not finite"),
        ([0.5], np.array([1]), "`right` must be booleans of shape"),
        ([0.5], np.array([True, True]), "`right` must be booleans of shape"),
    ],
)
def test_bad_arguments_are_named(sure, right, message):
    with pytest.raises(ValueError, match=message):
        ranking(sure, right)
