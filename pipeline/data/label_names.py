"""Compares the names of classes with each other."""

import collections
import unicodedata
from collections.abc import Sequence


def alike(names: Sequence[str]) -> list[list[str]]:
    """Returns groups of names that differ by case, blanks or accents' form.

    They are often one class, spelled in several ways: "Sea lion", "sea_lion".
    """
    groups = collections.defaultdict(list)
    for name in names:
        plain = unicodedata.normalize("NFKC", name).casefold()
        plain = plain.replace("_", " ")
        groups["".join(plain.split())].append(name)
    return [group for group in groups.values() if len(group) > 1]
