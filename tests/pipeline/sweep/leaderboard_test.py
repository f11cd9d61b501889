import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sweep import leaderboard

_ACCURACY = st.floats(0, 1, width=32)
_MADDS = st.integers(1, 100)


@st.composite
def metrics(draw):
    exits = draw(st.lists(st.tuples(_MADDS, _ACCURACY), min_size=1, max_size=4))
    routed = draw(st.lists(st.tuples(_MADDS, _ACCURACY), max_size=3))
    return {
        "exits": [
            {"exit": i, "madds": madds, "accuracy": {"float": accuracy}}
            for i, (madds, accuracy) in enumerate(exits)
        ],
        "routed": [
            {"policy": "p", "target": 0.5, "accuracy": a, "mean_madds": m}
            for m, a in routed
        ],
    }


@given(
    results=st.lists(st.tuples(st.sampled_from("abc"), metrics()), max_size=9),
    budget=st.one_of(_MADDS, st.just(math.inf)),
)
def test_the_table_against_numpy(results, budget):
    rows = leaderboard.table(results, budget)
    expected = {}
    for group in "abc":
        accuracies = []
        for name, found in results:
            pairs = [
                (row["accuracy"]["float"], row["madds"])
                for row in found["exits"]
            ] + [
                (row["accuracy"], row["mean_madds"]) for row in found["routed"]
            ]
            table = np.array(pairs)
            within = table[table[:, 1] <= budget]
            if name == group and len(within):
                accuracies.append(within[:, 0].max())
        if accuracies:
            expected[group] = np.array(accuracies)
    assert {row.group for row in rows} == set(expected)
    for row in rows:
        accuracies = expected[row.group]
        assert row.seeds == len(accuracies)
        assert row.accuracy == pytest.approx(accuracies.mean())
        if row.seeds > 1:
            assert row.deviation == pytest.approx(accuracies.std(ddof=1))
        else:
            assert row.deviation is None
        assert row.madds <= budget
    shown = [row.accuracy for row in rows]
    assert shown == sorted(shown, reverse=True)


def _exits(*rows, kind="float"):
    return {
        "exits": [
            {"exit": i, "madds": madds, "accuracy": {kind: accuracy}}
            for i, (madds, accuracy) in enumerate(rows)
        ]
    }


def test_an_earlier_exit_wins_when_it_is_better():
    found = _exits((10, 0.9), (20, 0.8))
    assert leaderboard.best(found, 30).name == "exit 0, float"


def test_of_equally_accurate_ways_the_cheapest():
    found = _exits((10, 0.9), (20, 0.9))
    assert leaderboard.best(found, math.inf).madds == 10


def test_nothing_fits():
    assert leaderboard.best(_exits((10, 0.9)), 9) is None
    assert leaderboard.table([("a", _exits((10, 0.9)))], 9) == []
    assert leaderboard.text([], 9e6) == "best within 9 M multiply-adds: none"


def test_int8_counts_where_it_is_known():
    found = _exits((10, 0.9))
    found["exits"][0]["accuracy"]["int8"] = 0.8
    way = leaderboard.best(found, 10)
    assert (way.name, way.accuracy) == ("exit 0, int8", 0.8)


def test_a_routed_policy_can_win():
    found = _exits((10, 0.8), (100, 0.9))
    found["routed"] = [
        {"policy": "accuracy_drop", "target": 0.005, "accuracy": 0.89,
         "mean_madds": 40.5}
    ]  # fmt: skip
    way = leaderboard.best(found, 50)
    assert way == leaderboard.Way("accuracy_drop 0.005, int8", 0.89, 40.5)


def test_the_text():
    results = [
        ("b", _exits((1_200_000, 0.9), (2_000_000, 0.97))),
        ("b", _exits((1_200_000, 0.92), (2_000_000, 0.97))),
        ("a x=1", _exits((500_000, 0.885))),
    ]
    rows = leaderboard.table(results, 1.5e6)
    assert leaderboard.text(rows, 1.5e6).splitlines() == [
        "best within 1.5 M multiply-adds:",
        "  accuracy %       multiply-adds  seeds  job",
        "   91.00 ± 1.41          1.200 M      2  b (exit 0, float)",
        "   88.50                 0.500 M      1  a x=1 (exit 0, float)",
    ]
    anywhere = leaderboard.text(leaderboard.table(results))
    assert anywhere.startswith("best at any cost:\n")
    assert "  97.00 ± 0.00" in anywhere
