"""Describes a verb of the command line, and the flags that several share."""

import dataclasses
from collections.abc import Mapping, Sequence

from pipeline.cli.flag import Flag

# The flags that several verbs take, or that do the same in each.
FLAGS = {
    "config": Flag(
        "what to run: `keras-dynamic list` names them, or a file of yours",
        "NAME|FILE",
        "config",
    ),
    "workdir": Flag("where everything is kept that is made", "DIR"),
    "bundle": Flag("a bundle, or its bundle.zip", "DIR"),
    "output": Flag("where the result goes", "DIR"),
    "json": Flag("print JSON", kind="bool", default=False),
}
# What every verb takes; absl defines them.
EVERYWHERE = {
    "verbosity": Flag("on an error, print the traceback too", "1"),
    "help": Flag("print this", kind="bool", default=False),
}


@dataclasses.dataclass(frozen=True)
class Verb:
    """Describes a verb of the command line.

    Attributes:
        text: A sentence on what it does.
        needs: Flags that must be given, of `own` or `FLAGS`.
        takes: Flags of `FLAGS` that may be given.
        own: Flags that only this verb has.
        files: Name of its other arguments; empty if it takes none.
        beam: Whether Beam's options may follow `--`.
        extras: Extras of the package that it needs beside the base install.
        examples: Command lines, as they are typed.
        codes: Meanings of its exit codes, where they are not those of all.
    """

    text: str
    needs: Sequence[str] = ()
    takes: Sequence[str] = ()
    own: Mapping[str, Flag] = dataclasses.field(default_factory=dict)
    files: str = ""
    beam: bool = False
    extras: Sequence[str] = ()
    examples: Sequence[str] = ()
    codes: Mapping[int, str] = dataclasses.field(default_factory=dict)

    @property
    def flags(self) -> dict[str, Flag]:
        """Returns all flags by name, first those that must be given."""
        known = FLAGS | dict(self.own)
        names = dict.fromkeys([*self.needs, *self.takes, *self.own])
        return {name: known[name] for name in names}
