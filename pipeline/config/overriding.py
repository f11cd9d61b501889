"""Sets values of a configuration as `--config.a.b=VALUE` does."""

from collections.abc import Iterable, Sequence

import ml_collections
from absl import flags
from ml_collections import config_flags

from pipeline.config.schema import Config, ConfigError, check_key, validated
from pipeline.config.setting import settings

_PREFIX = "config."


def overridden(
    config: ml_collections.ConfigDict, overrides: Iterable[str]
) -> ml_collections.ConfigDict:
    """Sets values of a configuration, and checks the result.

    Args:
        config: The configuration, which is changed.
        overrides: Texts such as "train.epochs=10", as they would follow
            `--config.` on the command line.

    Returns:
        `config`, locked.

    Raises:
        ConfigError: If there is no such key, or the values do not fit.
    """
    values = flags.FlagValues()
    arguments = [f"--{_PREFIX}{override}" for override in overrides]
    define(config, arguments, values)
    try:
        values(["", *arguments])
    except (
        flags.Error,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as e:
        raise ConfigError(
            f"`overrides` must be KEY=VALUE: {e}. "
            f"Received: {', '.join(arguments)}"
        ) from e
    return validated(config.lock())


def define(
    config: ml_collections.ConfigDict,
    arguments: Sequence[str],
    values: flags.FlagValues,
) -> None:
    """Defines the flag `config`, and flags for arguments that override it.

    Parsing the flags sets the values. A key that an open section, such as
    `model.arguments`, does not have is added; its value is read as a Python
    literal where it is one, and is else a string. Another family begins without
    arguments: those there are the other one's.

    Args:
        config: The configuration.
        arguments: A command line; its other arguments are left alone.
        values: Where the flags are defined.

    Raises:
        ConfigError: If a key that is to be overridden does not exist.
    """
    config.unlock()
    for argument in arguments:
        if _overrides(argument) == "model.family":
            take_family(config, argument.partition("=")[2])
    for argument in arguments:
        if key := _overrides(argument):
            check_override(key)
            _make_room(config, key.split("."))
    try:
        config_flags.DEFINE_config_dict(
            "config",
            config,
            flag_values=values,
            lock_config=False,
            accept_new_attributes=True,
            sys_argv=["", *arguments],
        )
    except (flags.Error, LookupError, TypeError, ValueError) as error:
        raise ConfigError(
            f"`config` cannot be overridden so: {error}. "
            f"Received: {' '.join(filter(_overrides, arguments))}"
        ) from error


def take_family(config: ml_collections.ConfigDict, family: str) -> None:
    """Takes the arguments of a family away where another one comes.

    Args:
        config: The configuration, unlocked.
        family: The new value of `model.family`.
    """
    if family != config.model.family:
        config.model.arguments = ml_collections.ConfigDict()


def check_override(name: str) -> None:
    """Checks that `name`, such as "train.epochs", is a key of the schema.

    Open sections have every key.

    Raises:
        ConfigError: Naming the key, and the nearest that exists.
    """
    prefix, known = "config", Config
    for key in name.split("."):
        key = key.partition("[")[0]
        if known is None:
            raise ConfigError(
                f"`{prefix}` is a value and has no keys. "
                f"Received: {prefix}.{key}"
            )
        check_key(settings(known), key, prefix)
        each = settings(known)[key]
        if each.is_open:
            return
        known = each.type if each.is_section else each.each
        prefix = f"{prefix}.{key}"


def _overrides(argument: str) -> str:
    """Returns the key that an argument overrides, or ""."""
    flag = argument.partition("=")[0]
    name = flag.lstrip("-")
    if flag == name:
        return ""
    for prefix in (_PREFIX, f"no{_PREFIX}"):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return ""


def _make_room(config: ml_collections.ConfigDict, keys: list[str]) -> None:
    """Makes the sections that a key lies in, within an open section.

    A key that holds None is removed: there is no type to read its value as.
    """
    *sections, last = keys
    for key in sections:
        if key not in config:
            config[key] = ml_collections.ConfigDict()
        config = config[key]
        if not isinstance(config, ml_collections.ConfigDict):
            return
    if last in config and config[last] is None:
        del config[last]
