"""Holds the schema of a configuration, and the built-in ones by name.

A configuration is an `ml_collections.ConfigDict` that has the keys of the
schema (docs/configuration.md), and no others.
"""

from pipeline.config.named import load, names
from pipeline.config.overriding import (
    check_override,
    define,
    overridden,
    take_family,
)
from pipeline.config.schema import ConfigError, default, section, validated

__all__ = [
    "ConfigError",
    "check_override",
    "default",
    "define",
    "load",
    "names",
    "overridden",
    "section",
    "take_family",
    "validated",
]
