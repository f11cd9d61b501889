"""Holds the schema of a configuration, and the built-in ones by name."""

from pipeline.config.schema import (
    ConfigError,
    check_override,
    default,
    load,
    names,
    path_of,
    validated,
)

__all__ = [
    "ConfigError",
    "check_override",
    "default",
    "load",
    "names",
    "path_of",
    "validated",
]
