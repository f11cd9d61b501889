"""docs/commands.md says what the table of verbs says."""

from pipeline.cli import commands_page
from tests.support import markdown_blocks


def test_the_page_is_made_from_the_table():
    # After a change: python -m pipeline.cli.commands_page > docs/commands.md
    page = markdown_blocks.ROOT / "docs" / "commands.md"
    assert page.read_text(encoding="utf-8") == commands_page.page()
