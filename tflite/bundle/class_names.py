"""Checks the names of a bundle's classes: a line of text each."""

import unicodedata
from collections.abc import Sequence


def check(names: Sequence[str], argument: str = "labels") -> None:
    """Raises ValueError unless each name can be a line of labels.txt.

    It must be a line for every reader of lines, however that reader splits
    and trims them: not empty, without control characters and separators of
    lines, without blanks at its ends, and UTF-8.

    Args:
        names: One per class.
        argument: Name of the argument in an error.
    """
    bad = [name for name in names if not _is_line(name)]
    if bad or not names:
        raise ValueError(
            f"`{argument}` must be one line of text per class, without control "
            "characters and without blanks at its ends. Received: "
            f"{bad[:5] if bad else list(names)}"
        )


def _is_line(name: object) -> bool:
    if not isinstance(name, str) or not name or name != name.strip():
        return False
    # Control characters, halves of surrogate pairs, U+2028 and U+2029.
    return not any(
        unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
        for letter in name
    )
