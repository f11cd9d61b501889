"""Writes the help of the command line, in one format for all verbs."""

import textwrap
from collections.abc import Iterator

from pipeline.cli.verb import EVERYWHERE, Verb
from pipeline.cli.verbs import VERBS

_WIDTH = 80
_COLUMN = 26  # Where the texts of flags begin.

# What ends every verb; a verb may say more.
CODES = {0: "done", 1: "an error", 130: "Ctrl-C", 143: "SIGTERM"}


def usage() -> str:
    """Returns the help of the whole command."""
    return "\n".join(
        [
            "usage: keras-dynamic VERB [--flag=value ...] [-- BEAM OPTIONS]",
            "",
            "Trains networks with several exits, and makes of them int8 "
            "bundles for a device.",
            "",
            "verbs:",
            *(f"  {name:10} {verb.text}" for name, verb in VERBS.items()),
            "",
            "examples:",
            "  keras-dynamic run --config=vgg_cluttered_digits "
            "--workdir=runs/demo",
            "  keras-dynamic VERB --help",
            "  keras-dynamic --version",
            "",
            _codes(CODES),
        ]
    )


def usage_of(name: str) -> str:
    """Returns the help of a verb."""
    verb = VERBS[name]
    lines = [
        *textwrap.wrap(
            f"usage: keras-dynamic {synopsis(name)}",
            _WIDTH,
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        ),
        "",
        verb.text,
        "",
        "flags:",
    ]
    for spelled, text in rows(verb):
        lines += _aligned(spelled, text)
    lines += ["", "examples:"]
    for example in verb.examples:
        lines += [f"  {line}" for line in example.split("\n")]
    return "\n".join([*lines, "", _codes(CODES | dict(verb.codes))])


def synopsis(name: str) -> str:
    """Returns a verb with the words that must or may follow it."""
    verb = VERBS[name]
    words = [name, *(verb.flags[each].spelled(each) for each in verb.needs)]
    words += ["[--flag=value ...]"]
    words += [verb.files] if verb.files else []
    words += ["[-- BEAM OPTIONS]"] if verb.beam else []
    return " ".join(words)


def rows(verb: Verb) -> Iterator[tuple[str, str]]:
    """Yields each flag of a verb as it is typed, and its purpose."""
    for name, flag in (verb.flags | EVERYWHERE).items():
        yield flag.spelled(name), flag.explained()
        if flag.kind == "config":
            yield "--config.a.b=VALUE", "replace a value of the configuration"


def _aligned(spelled: str, text: str) -> list[str]:
    """Returns the lines of a flag: its text stands beside or below it."""
    lines = textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=" " * _COLUMN,
        subsequent_indent=" " * _COLUMN,
        break_on_hyphens=False,
    )
    if len(spelled) + 4 > _COLUMN:
        return [f"  {spelled}", *lines]
    return [f"  {spelled}".ljust(_COLUMN) + lines[0].lstrip(), *lines[1:]]


def _codes(codes: dict[int, str]) -> str:
    said = ", ".join(f"{code} {text}" for code, text in sorted(codes.items()))
    return textwrap.fill(
        f"exit codes: {said}", _WIDTH, subsequent_indent=" " * 12
    )
