"""Lays out tables of text with aligned columns, for a terminal."""

from collections.abc import Sequence

WIDTH = 100


def table(
    rows: Sequence[Sequence[str]], aligned: str, flexible: int = 0
) -> str:
    """Returns rows as lines whose columns are aligned, `<` or `>` each.

    Args:
        rows: Rows of equal length; the first one is the head.
        aligned: `<` or `>` for each column.
        flexible: The column that gives way where `WIDTH` is too narrow; the
            beginnings of its cells are left out.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    others = sum(widths) - widths[flexible] + 2 * (len(widths) - 1)
    widths[flexible] = max(8, min(widths[flexible], WIDTH - others))
    return "\n".join(
        "  ".join(
            f"{_cut(cell, width):{side}{width}}"
            for cell, side, width in zip(row, aligned, widths, strict=True)
        ).rstrip()
        for row in rows
    )


def _cut(words: str, width: int) -> str:
    """Leaves out the beginning of a long text: names differ at the end."""
    if len(words) <= width:
        return words
    return f"...{words[len(words) - width + 3 :]}"
