"""The built-in configurations are what they were, value by value."""

import hashlib
import json
import pathlib

import pytest

from pipeline import config

# SHA-256, by name, of each one's values as JSON with sorted keys. A change of
# it is a change of everybody's results.
PINNED = json.loads(
    pathlib.Path(__file__).with_name("built_in.json").read_text()
)


def test_names():
    assert config.names() == list(PINNED)


@pytest.mark.parametrize("name", PINNED)
def test_values(name):
    values = json.dumps(config.load(name).to_dict(), sort_keys=True)
    assert hashlib.sha256(values.encode()).hexdigest() == PINNED[name]
