"""Lists the code blocks of the pages, and tells which of them are not run."""

import dataclasses
import pathlib
import re

from markdown_it import MarkdownIt

ROOT = pathlib.Path(__file__).parents[2]

# Right before a block, with the reason.
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Block:
    """Holds a fenced block of code.

    Attributes:
        page: File of the block, below the root of the repository.
        line: Number of its first line in the file.
        text: Code in the block.
        not_run: Reason why it is not run; empty if it is.
    """

    page: str
    line: int
    text: str
    not_run: str = ""

    def compiled(self):
        """Returns its code, with the line numbers of the page."""
        source = "\n" * (self.line - 1) + self.text
        return compile(source, str(ROOT / self.page), "exec")


def blocks(page: str, language: str) -> list[Block]:
    """Returns the blocks of a page in a language, in order."""
    found, reason = [], ""
    for token in MarkdownIt("commonmark").parse((ROOT / page).read_text()):
        if token.type == "fence" and token.info.strip() == language:
            first = token.map[0] + 2
            found.append(Block(page, first, token.content, reason))
        comment = token.type == "html_block" and _NOT_RUN.search(token.content)
        reason = " ".join(comment.group(1).split()) if comment else ""
    return found


def pages(language: str) -> list[str]:
    """Lists the pages that have blocks in a language."""
    docs = sorted((ROOT / "docs").glob("*.md"))
    every = ["README.md", "BUILD.md", *(f"docs/{path.name}" for path in docs)]
    return [page for page in every if blocks(page, language)]
