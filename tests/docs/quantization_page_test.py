"""docs/quantization.md lists the layers that can be quantized."""

import pathlib

import pytest

from keras_dynamic.normal_form.vocabulary import VOCABULARY
from tests.support import markdown_tables
from tflite.quantization import layers
from tflite.quantization.native import lowering

_PAGE = "docs/quantization.md"


def _rows(package):
    found = sorted(
        layers.registry().values(), key=lambda each: each.keras.__name__
    )
    for each in found:
        if each.keras.__module__.split(".")[0] == package:
            arguments = ", ".join(f"`{name}`" for name in each.arguments)
            yield f"`{each.keras.__name__}`", arguments, each.note


@pytest.mark.parametrize(
    ("package", "title"),
    [
        ("keras", "Layer of Keras"),
        ("keras_dynamic", "Layer of `keras_dynamic.layers`"),
    ],
)
def test_its_tables_are_the_registry(package, title):
    markdown_tables.check(
        _PAGE,
        markdown_tables.table((title, "Arguments", ""), _rows(package)),
    )


def test_its_table_of_the_method_keras_is_the_vocabulary():
    rows = [
        (f"`{each.layer.__name__}`", each.meaning, ", ".join(each.operators))
        for each in VOCABULARY.values()
        if each.layer not in lowering.REFUSED
    ]
    header = ("Layer", "What it computes", "Operators in int8")
    markdown_tables.check(_PAGE, markdown_tables.table(header, rows))


def test_every_file_of_a_layer_is_in_the_registry():
    directory = pathlib.Path(layers.__file__).parent
    files = {path.stem for path in directory.glob("*.py")} - {"__init__"}
    assert files == set(layers.MODULES)
    assert len(layers.registry()) == len(layers.MODULES)
