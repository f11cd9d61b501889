import dataclasses
import pickle
import subprocess
import sys

import pytest

from pipeline import sources
from pipeline.sources.item import Found

# Enough options for each to be built; nothing is read.
OPTIONS = {
    "cifar": {"path": "a"},
    "cluttered_digits": {"views": 1},
    "digits": {},
    "idx": {"path": "a"},
    "image_folder": {"path": "a", "classes": ["x", "y"]},
    "synthetic": {"images": 100},
    "table": {"path": "a.csv"},
    "tfrecord": {"pattern": "a*", "classes": ["x", "y"]},
}
PATHS = {
    name: options for name, options in OPTIONS.items() if "path" in options
}


def test_every_source_is_named():
    assert sources.names() == tuple(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_source_is_its_options(name):
    source = sources.build(name, **OPTIONS[name])
    assert pickle.loads(pickle.dumps(source)) == source
    assert hash(source) == hash(sources.build(name, **OPTIONS[name]))
    with pytest.raises(dataclasses.FrozenInstanceError):
        source.path = "b"


@pytest.mark.parametrize("name", OPTIONS)
def test_an_unknown_option(name):
    with pytest.raises(ValueError, match=rf"fit source '{name}'.*'colour'"):
        sources.build(name, **OPTIONS[name], colour=1)


@pytest.mark.parametrize("name", PATHS)
def test_an_empty_path(name):
    with pytest.raises(ValueError, match="`path`"):
        sources.build(name, **OPTIONS[name] | {"path": ""})


@pytest.mark.parametrize("name", ["cluttered_digits", "digits", "synthetic"])
def test_the_contract(name):
    source = sources.build(name, **OPTIONS[name])
    found = source.find()
    assert isinstance(found, Found)
    items = [item for piece in found.pieces for item in source.items(piece)]
    assert len(items) == found.images
    assert len({item.key for item in items}) == len(items)
    assert {item.label for item in items} == set(range(len(found.labels)))


def test_no_source_imports_tensorflow():
    code = (
        "import importlib, sys\n"
        "from pipeline import sources\n"
        "for name in sources.names():\n"
        "    importlib.import_module(f'pipeline.sources.{name}')\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
