"""Holds that docstrings are sentences that begin with a verb."""

import ast

import pytest

from tests.support import markdown_blocks

PACKAGES = ("keras_dynamic", "pipeline", "tflite")
# Words in -s that begin no sentence with a verb.
NOUNS = ("This", "Its", "As", "Less", "Plus", "Always", "Besides")


def _first_words(package):
    """Yields where a docstring is, and the word that it begins with."""
    for path in sorted((markdown_blocks.ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        where = path.relative_to(markdown_blocks.ROOT)
        for node in ast.walk(tree):
            if not isinstance(
                node, ast.Module | ast.ClassDef | ast.FunctionDef
            ):
                continue
            said = ast.get_docstring(node)
            if said:
                line = getattr(node, "lineno", 1)
                yield f"{where}:{line}", said.split()[0].rstrip(",.:;")


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_begin_with_a_verb(package):
    """The third person in -s, as in "Returns the cost of a model."."""
    found = [
        f"{where}: {word}"
        for where, word in _first_words(package)
        if not word.endswith("s") or word in NOUNS
    ]
    assert found == []
