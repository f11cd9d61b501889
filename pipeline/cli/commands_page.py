"""Makes docs/commands.md, all verbs with their flags, from the verbs' table.

python -m pipeline.cli.commands_page > docs/commands.md
"""

import textwrap

from pipeline.cli import help_text
from pipeline.cli.verb import EVERYWHERE, Verb
from pipeline.cli.verbs import STAGES, VERBS
from pipeline.processes import printing

_HEAD = """# Commands

<!-- Made from the table of verbs: python -m pipeline.cli.commands_page -->

`keras-dynamic VERB --flag=value`. `--max-drop` and `--max_drop` are the same
flag; a switch is turned off by `no` in front of its name, as in `--noxnnpack`.
What a verb takes beside its flags can come before or after them.
`keras-dynamic list` names what a configuration can name, and
[`pipeline/config/schema.py`](../pipeline/config/schema.py) has every key that
`--config.a.b=VALUE` can replace.
"""

_COMMON = {flag.spelled(name) for name, flag in EVERYWHERE.items()}
_AFTER = """## What all verbs share

{codes}

What follows `--` after {takers} are Beam's options, such as
`--runner=FlinkRunner`: [flink.md](flink.md), [dataflow.md](dataflow.md).
`--verbosity=1` prints the traceback of an error, too, and `--help` the flags of
a verb.
"""


def page() -> str:
    """Returns the page, in Markdown."""
    parts = [_HEAD, _overview(), _everywhere()]
    parts += [_section(name, verb) for name, verb in VERBS.items()]
    return "\n".join(parts)


def _overview() -> str:
    rows = [("Verb", "", "Extras"), ("---", "---", "---")]
    for name, verb in VERBS.items():
        extras = ", ".join(f"`{each}`" for each in verb.extras) or "none"
        rows.append((f"[`{name}`](#{name})", verb.text, extras))
    stages = ", ".join(f"`{stage}`" for stage in STAGES)
    said = textwrap.fill(
        f"{stages} are the stages of an experiment, in their order. The extras "
        "are those that a verb needs beside the base install.",
        80,
    )
    return f"{_rows(rows)}\n\n{said}\n"


def _everywhere() -> str:
    codes = ["| Exit code | |", "|---|---|"]
    codes += [f"| {code} | {text} |" for code, text in help_text.CODES.items()]
    takers = [f"`{name}`" for name, verb in VERBS.items() if verb.beam]
    return _AFTER.format(
        codes="\n".join(codes),
        takers=f"{', '.join(takers[:-1])} or {takers[-1]}",
    )


def _section(name: str, verb: Verb) -> str:
    rows = [("Flag", ""), ("---", "---")]
    for spelled, text in help_text.rows(verb):
        if spelled not in _COMMON:
            # A bar would begin a cell.
            cells = (f"`{spelled}`", text)
            rows.append(tuple(cell.replace("|", "\\|") for cell in cells))
    parts = [
        f"## {name}",
        verb.text,
        f"```\nkeras-dynamic {help_text.synopsis(name)}\n```",
    ]
    if len(rows) > 2:
        parts.append(_rows(rows))
    examples = "\n".join(verb.examples)
    parts.append(f"```sh\n{examples}\n```")
    if verb.codes:
        codes = (f"{code}: {text}" for code, text in verb.codes.items())
        parts.append(f"Exit codes: {'; '.join(codes)}.")
    return "\n\n".join(parts) + "\n"


def _rows(rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


if __name__ == "__main__":
    printing.show(page().rstrip("\n"))
