import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.experiments import seeds

_VALUES = st.lists(st.floats(0, 1), min_size=2, max_size=4)


def test_over():
    found = seeds.over([0.5, 0.25, 0.75])
    assert found == seeds.OverSeeds(0.5, 0.25, 0.75, 3)


@given(_VALUES, _VALUES)
def test_apart_is_every_seed_on_one_side(first, second):
    beyond = seeds.apart(seeds.over(first), seeds.over(second))
    pairs = list(itertools.product(first, second))
    assert beyond == (
        all(a > b for a, b in pairs) or all(a < b for a, b in pairs)
    )
    assert beyond == seeds.apart(seeds.over(second), seeds.over(first))


def test_a_single_seed_says_nothing_of_the_spread():
    one, three = seeds.over([0.1]), seeds.over([0.7, 0.8, 0.9])
    assert seeds.apart(one, three) is None
    assert seeds.apart(three, one) is None


@pytest.mark.parametrize(("first", "second"), [(2, 2), (3, 3), (2, 4), (1, 3)])
def test_the_chance_by_trying_every_order(first, second):
    orders = list(itertools.permutations(range(first + second)))
    apart = [
        max(order[:first]) < min(order[first:])
        or min(order[:first]) > max(order[first:])
        for order in orders
    ]
    assert seeds.chance(first, second) == Fraction(sum(apart), len(orders))
