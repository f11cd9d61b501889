"""The committed table says what the code does."""

import pytest

from pipeline import config
from pipeline.cli import catalogue

TABLE = catalogue.read()
COSTS = TABLE["configurations"]


def cheapest(family: str) -> str:
    names = [name for name in COSTS if COSTS[name]["family"] == family]
    return min(names, key=lambda name: COSTS[name]["madds"][-1])


def test_every_name_is_in_the_table():
    assert {key: TABLE[key] for key in catalogue.names()} == catalogue.names()
    # After a change: python -m pipeline.cli.catalogue
    assert list(COSTS) == list(config.names())
    families = {each["family"] for each in COSTS.values()}
    assert {*TABLE["models"]} - families == {"applications", "keras_file"}


@pytest.mark.parametrize(
    "family", sorted({each["family"] for each in COSTS.values()})
)
def test_the_cheapest_of_each_family(family):
    name = cheapest(family)
    assert catalogue.cost(name) == COSTS[name]


@pytest.mark.slow
def test_the_whole_table():
    made = catalogue.text(catalogue.made())
    assert made == catalogue.PATH.read_text(encoding="utf-8")
