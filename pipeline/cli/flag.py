"""Describes a flag of the command line: how it is parsed and explained."""

import dataclasses
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag, of one verb or of several.

    Attributes:
        text: What it is for, as a phrase without a full stop.
        value: What it is given, for the help; empty for a switch.
        kind: What the value becomes: "bool", "integer", "float", "string",
            "list" (at commas), "multi_string" (one per repetition), "enum", or
            "config", a configuration with all of its overrides.
        default: Its value where it is not given.
        choices: The values of an "enum".
        least: The lowest value of an "integer".
        without: What holds where it is not given, for the help, if `default`
            does not say it.
    """

    text: str
    value: str = ""
    kind: str = "string"
    default: Any = None
    choices: Sequence[str] = ()
    least: int | None = None
    without: str = ""

    def define(self, name: str, values: Any) -> None:
        """Defines it among `values`, a `flags.FlagValues` of absl.

        A configuration is defined by `pipeline.config.define` instead, as its
        flags depend on what it holds.
        """
        from absl import flags

        options = {"flag_values": values}
        match self.kind:
            case "enum":
                flags.DEFINE_enum(
                    name, self.default, self.choices, self.text, **options
                )
            case "integer":
                options["lower_bound"] = self.least
                flags.DEFINE_integer(name, self.default, self.text, **options)
            case _:
                define = getattr(flags, f"DEFINE_{self.kind}")
                define(name, self.default, self.text, **options)

    def spelled(self, name: str) -> str:
        """Returns the flag as it is given."""
        if self.kind == "bool":
            return f"--[no]{name}" if self.default else f"--{name}"
        return f"--{name}={self.value}"

    def explained(self) -> str:
        """Returns what it is for, with what holds without it."""
        default = self.without
        if not default and self.default not in (None, False, "", []):
            default = self.default
            if isinstance(default, list | tuple):
                default = ",".join(default)
            if default is True:
                default = "on"
        return f"{self.text} (default: {default})" if default else self.text
