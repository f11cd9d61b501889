"""Loads configurations: built-in ones by name, others by file."""

import difflib
import pathlib
import runpy

import ml_collections

from pipeline.config import families
from pipeline.config.schema import ConfigError, validated


def names() -> list[str]:
    """Returns the names of the built-in configurations, sorted."""
    return sorted(families.CONFIGS)


def load(name: str) -> ml_collections.ConfigDict:
    """Returns a new configuration, validated and locked.

    Args:
        name: Name of a built-in configuration, or the path of a Python file
            whose `get_config()` returns one. The file is run.

    Raises:
        ConfigError: If there is none, or it does not fit the schema.
    """
    if name.endswith(".py"):
        return validated(_of_file(name))
    if name not in families.CONFIGS:
        near = " or ".join(map(repr, _nearest(name)))
        raise ConfigError(
            "`config` must be the path of a Python file or a name that "
            f"`keras-dynamic list` shows. Received: {name!r}."
            + (f" Did you mean {near}?" if near else "")
        )
    config = families.CONFIGS[name]()
    config.name = name
    return validated(config)


def _of_file(name: str) -> ml_collections.ConfigDict:
    path = pathlib.Path(name)
    if not path.is_file():
        raise ConfigError(f"`config` must be a file. Received: {name!r}")
    try:
        config = runpy.run_path(str(path))["get_config"]()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(
            "`config` must be a Python file whose get_config() returns the "
            f"configuration. Received: {path} with {reason}"
        ) from error
    if isinstance(config, ml_collections.ConfigDict):
        config.lock()
    return config


def _nearest(name: str) -> list[str]:
    """Returns built-in names that may be meant, those of the family first."""
    family = difflib.get_close_matches(
        name.partition("_")[0], families.FAMILIES, n=1
    )
    if not family:
        return difflib.get_close_matches(name, names())
    table = families.FAMILIES[family[0]]
    return difflib.get_close_matches(
        name, table, cutoff=0.8
    ) or difflib.get_close_matches(name, table, cutoff=0.0)
