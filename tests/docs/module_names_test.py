"""Holds that one name of a module means one thing."""

import collections

from tests.support import markdown_blocks

PACKAGES = ("keras_dynamic", "pipeline", "tflite")
# What builds a choice of networks, the layer of its router and how that is
# quantized; a family and its configurations, a layer and how it is quantized, a
# bundle's and a data set's manifest, a policy and the rule that fits it.
ONE_MEANING = {
    (
        "keras_dynamic/layers",
        "keras_dynamic/models/blocks",
        "tflite/quantization/layers",
    ),
    ("keras_dynamic/models", "pipeline/config/families"),
    ("keras_dynamic/layers", "tflite/quantization/layers"),
    ("pipeline/data", "tflite/bundle"),
    ("keras_dynamic/exits/decision", "keras_dynamic/exits/fitting"),
}


def test_a_name_is_used_once_or_for_the_same():
    places = collections.defaultdict(list)
    for package in PACKAGES:
        for path in sorted((markdown_blocks.ROOT / package).rglob("*.py")):
            room = path.parent.relative_to(markdown_blocks.ROOT).as_posix()
            if path.name != "__init__.py":
                places[path.name].append(room)
    twice = {name: tuple(rooms) for name, rooms in places.items() if rooms[1:]}
    assert set(twice.values()) <= ONE_MEANING, twice
