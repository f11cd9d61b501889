import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate import mcnemar


def pair(lost: int, won: int, same: int = 3):
    before = [True] * lost + [False] * won + [True, False] * same
    now = [False] * lost + [True] * won + [True, False] * same
    return np.array(before, bool), np.array(now, bool)


def brute_force(lost: int, won: int) -> float:
    """Counts all ways in which the discordant images can fall."""
    ways = list(itertools.product((0, 1), repeat=lost + won))
    uneven = abs(lost - won)
    as_uneven = [abs(2 * sum(way) - len(way)) >= uneven for way in ways]
    return sum(as_uneven) / len(ways)


@pytest.mark.parametrize("lost", range(7))
@pytest.mark.parametrize("won", range(7))
def test_all_ways_counted(lost, won):
    found = mcnemar.p_value(*pair(lost, won))
    assert found == pytest.approx(brute_force(lost, won), rel=1e-12)


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_binomial_tail_in_logarithms(lost, won):
    count, few = lost + won, min(lost, won)
    logs = [
        math.lgamma(count + 1)
        - math.lgamma(k + 1)
        - math.lgamma(count - k + 1)
        - count * math.log(2)
        for k in range(few + 1)
    ]
    wanted = min(1.0, 2 * float(np.exp(logs).sum()))
    found = mcnemar.p_value(*pair(lost, won))
    assert found == pytest.approx(wanted, rel=1e-9)
    assert found == mcnemar.p_value(*pair(won, lost))


def test_what_both_get_right_or_wrong_tells_nothing():
    few = mcnemar.p_value(*pair(6, 1, same=0))
    assert few == mcnemar.p_value(*pair(6, 1, same=10_000)) == 2 * 8 / 2**7


def test_no_difference():
    assert mcnemar.p_value(*pair(0, 0)) == 1.0


def test_many_images():
    assert mcnemar.p_value(*pair(5000, 5000)) == 1.0
    assert 0.0 < mcnemar.p_value(*pair(5200, 4800)) < 1e-4
    assert mcnemar.p_value(*pair(20_000, 0)) == 0.0


def test_images_must_be_the_same():
    with pytest.raises(ValueError, match=r"same images.*\(8,\) and \(9,\)"):
        mcnemar.p_value(pair(1, 1)[0], np.ones(9, bool))
