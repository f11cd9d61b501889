"""Every `keras-dynamic` in the pages has a verb and flags that exist."""

import re

import pytest

from pipeline import config
from pipeline.cli import verbs
from pipeline.cli.verb import EVERYWHERE
from tests.support import markdown_blocks


def _flags(verb):
    return {*verbs.VERBS[verb].flags, *EVERYWHERE}


def _commands(page):
    """The words behind each `keras-dynamic`, in blocks and in the text."""
    text = (markdown_blocks.ROOT / page).read_text()
    blocks = [each.text for each in markdown_blocks.blocks(page, "sh")]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    lines += [
        " ".join(span.split())
        for span in re.findall(r"`([^`]*keras-dynamic [^`]+)`", text)
    ]
    for line in lines:
        found = re.search(r"(?:^|[/ ])keras-dynamic ([a-z].*)", line)
        if found:
            yield re.sub(r"\s#.*| -- .*", "", found[1]).split()


_PAGES = ["README.md", "BUILD.md", "CONTRIBUTING.md", "benchmarks/README.md"]
_PAGES += [
    f"docs/{path.name}" for path in (markdown_blocks.ROOT / "docs").glob("*.md")
]


@pytest.mark.parametrize("page", sorted(_PAGES))
def test_verbs_and_flags_exist(page):
    for verb, *words in _commands(page):
        assert verb in verbs.VERBS, [verb, *words]
        for word in words:
            name = word.removeprefix("--").partition("=")[0].replace("-", "_")
            if word.startswith("--config."):
                config.check_override(name.removeprefix("config."))
            elif word.startswith("--"):
                known = _flags(verb)
                assert {name, name.removeprefix("no")} & known, [verb, word]
