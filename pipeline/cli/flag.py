"""Describes a flag of the command line: how it is parsed and explained."""

import dataclasses
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Flag:
    """Describes a flag of one verb or of several.

    Attributes:
        text: Its purpose, as a phrase without a full stop.
        value: Placeholder of its value in the help; empty for a switch.
        kind: Type of its value: "bool", "integer", "float", "string", "list"
            (split at commas), "multi_string" (one per repetition), "enum", or
            "config", a configuration with all of its overrides.
        default: Its value where it is not given.
        choices: The values of an "enum".
        least: The lowest value of an "integer".
        without: Words of the help on what holds where it is not given, if
            `default` does not say it.
    """

    text: str
    value: str = ""
    kind: str = "string"
    default: Any = None
    choices: Sequence[str] = ()
    least: int | None = None
    without: str = ""

    @property
    def is_path(self) -> bool:
        """Tells whether its value is a path, or several."""
        return self.value in ("DIR", "FILE", "PATTERN")

    def define(self, name: str, values: Any) -> None:
        """Defines the flag among `values`, a `flags.FlagValues` of absl.

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
        """Returns the flag as it is typed."""
        if self.kind == "bool":
            return f"--[no]{name}" if self.default else f"--{name}"
        return f"--{name}={self.value}"

    def explained(self) -> str:
        """Returns the flag's purpose, and what holds without the flag."""
        default = self.without
        if not default and self.default not in (None, False, "", []):
            default = self.default
            if isinstance(default, list | tuple):
                default = ",".join(default)
            if default is True:
                default = "on"
        return f"{self.text} (default: {default})" if default else self.text
