import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.figures import ticks


@given(st.floats(-100, 100), st.floats(1e-3, 200), st.integers(3, 10))
def test_linear_ticks_are_few_and_inside(low, length, most):
    found = ticks.linear(low, low + length, most)
    assert 1 <= len(found) <= most
    assert all(low - 1e-9 <= tick <= low + length + 1e-9 for tick in found)
    gaps = {round(b - a, 9) for a, b in itertools.pairwise(found)}
    assert len(gaps) <= 1


@given(st.floats(1e3, 1e9), st.floats(1.01, 1e4))
def test_logarithmic_ticks_are_inside_and_apart(low, factor):
    found = ticks.logarithmic(low, low * factor)
    assert found == sorted(set(found))
    assert all(low * 0.999 <= tick <= low * factor * 1.001 for tick in found)
    assert 1 <= len(found) <= 8
    if factor > 2.5:
        for a, b in itertools.pairwise(found):
            assert math.log(b / a) >= 0.15 * math.log(factor) - 1e-9


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (7e6, 1.4e8, [1e7, 2e7, 5e7, 1e8]),
        (9e6, 7.5e7, [1e7, 2e7, 3e7, 5e7, 7e7]),
        (5e5, 9e7, [1e6, 3e6, 1e7, 3e7]),
        (51e6, 58e6, [52e6, 54e6, 56e6, 58e6]),
    ],
)
def test_logarithmic_ticks_are_round(low, high, expected):
    assert ticks.logarithmic(low, high) == expected


def test_linear_ticks_are_round():
    assert ticks.linear(88.2, 96.1) == [90, 92, 94, 96]
    assert ticks.linear(0.0, 0.3) == [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]
