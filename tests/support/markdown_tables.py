"""Checks tables of the pages against what the code says."""

from collections.abc import Iterable, Sequence

from tests.support import markdown_blocks


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table in Markdown, a line per row."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(
        f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|\n"
        for cells in lines
    )


def check(page: str, expected: str) -> None:
    """Asserts that a page holds a table; the message is what to paste."""
    text = (markdown_blocks.ROOT / page).read_text(encoding="utf-8")
    assert expected in text, f"{page} lacks this table:\n\n{expected}"
