import pytest

from pipeline.results.overlay import overlay


def test_keys_and_places_are_joined():
    base = {
        "exits": [{"accuracy": {"float": 0.5}}, {}],
        "chain": {"samples": 3},
    }
    more = {
        "exits": [{"accuracy": {"int8": 0.25}}, {"accuracy": {"int8": 0.5}}],
        "chain": {"samples": 4, "overhead": 1.5},
        "routed": [],
    }
    assert overlay(base, more) == {
        "exits": [
            {"accuracy": {"float": 0.5, "int8": 0.25}},
            {"accuracy": {"int8": 0.5}},
        ],
        "chain": {"samples": 4, "overhead": 1.5},
        "routed": [],
    }
    assert base["exits"][1] == {}
    assert overlay({"a": None}, {"a": 1}) == {"a": 1}


def test_lists_about_other_exits():
    with pytest.raises(ValueError, match="`more`"):
        overlay({"exits": [{}]}, {"exits": [{}, {}]})
