"""Holds the page's table of the vocabulary, and its one rule on weights."""

import pytest

from keras_dynamic.normal_form import vocabulary
from tests.support import markdown_blocks, markdown_tables

TERMS = vocabulary.VOCABULARY.values()


def test_the_page_lists_the_vocabulary():
    rows = [
        (
            f"`{term.layer.__name__}`",
            term.meaning.rstrip("."),
            ", ".join(term.operators) or "none",
            term.scale,
        )
        for term in TERMS
    ]
    header = ("Layer", "", "Operators of TFLite", "Scale of its output")
    markdown_tables.check(
        "docs/normal_form.md", markdown_tables.table(header, rows)
    )


def test_the_page_lists_the_activations():
    names = ", ".join(vocabulary.ACTIVATIONS)
    page = markdown_blocks.ROOT / "docs/normal_form.md"
    assert names in page.read_text(encoding="utf-8").replace("\n", " ")


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.layer.__name__)
def test_no_layer_has_an_activation_of_its_own(term):
    if "kernel" in term.weights:
        allowed = term.arguments.get("activation", ("linear",))
        assert allowed == ("linear",)
