"""Carries out `keras-dynamic list`: names all there is, and tells its costs."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.cli import catalogue, columns
from pipeline.processes import printing

_TITLES = {
    "models": "models (config.model.family)",
    "objectives": "objectives (config.train.objective)",
    "sources": "sources (config.data.source)",
    "rules": "policy rules (config.policy.rule)",
}
_HEAD = ("", "input", "exits", "to exit 0", "to the last", "parameters")


def run(flags, positional: Sequence[str]) -> None:
    """Prints all names, and what the configurations cost."""
    del positional
    table = catalogue.read()
    if flags.json:
        printing.show_json(table)
    else:
        printing.show(text(table))


def text(table: Mapping[str, Any]) -> str:
    """Returns the table of `catalogue.read` as text for a terminal.

    Configurations are sorted by data set, then by family; multiply-adds are
    those up to the first exit and up to the last one, of one image.
    """
    parts = [
        f"{title}:\n"
        + textwrap.fill(
            "  ".join(table[key]),
            80,
            initial_indent="  ",
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        for key, title in _TITLES.items()
    ]
    groups: dict[str, list[str]] = {}
    rows = [_HEAD]
    for name, facts in sorted(table["configurations"].items(), key=_place):
        groups.setdefault(facts["data_set"], []).append(name)
        rows.append((f"    {name}", *_cells(facts)))
    head, *lines = columns.table(rows, "<>>>>>").split("\n")
    found = iter(lines)
    parts.append(
        "configurations (--config=NAME), with the multiply-adds of an image up "
        f"to an exit:\n{head}"
    )
    for data_set, members in groups.items():
        family, said = "", [f"  {data_set}"]
        for name in members:
            now = table["configurations"][name]["family"]
            if family and now != family:
                said.append("")
            family = now
            said.append(next(found))
        parts.append("\n".join(said))
    return "\n\n".join(parts)


def _place(item: tuple[str, Mapping[str, Any]]) -> tuple[int, str, int, str]:
    """Returns a configuration's sort key: the cheap ones of a family first."""
    name, facts = item
    data_set = catalogue.DATA_SETS.index(facts["data_set"])
    return data_set, facts["family"], facts["madds"][-1], name


def _cells(facts: Mapping[str, Any]) -> tuple[str, ...]:
    size = facts["size"]
    return (
        f"{size}x{size}x{facts['channels']}",
        str(facts["exits"]),
        *(f"{madds / 1e6:,.2f} M" for madds in facts["madds"]),
        f"{facts['params'] / 1e6:,.2f} M",
    )
