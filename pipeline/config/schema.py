"""Holds the schema of a configuration: keys, defaults, types and rules.

A configuration is an `ml_collections.ConfigDict`. Its keys are described once,
by the dataclasses of `pipeline.config.sections`: `default` makes the
configuration that has all defaults, `validated` checks one against the schema,
and `section` gives a part of one as its dataclass.
"""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

import ml_collections

from pipeline.config.sections.benchmark_section import Benchmark
from pipeline.config.sections.check_section import Check
from pipeline.config.sections.data_section import Data
from pipeline.config.sections.model_section import Model
from pipeline.config.sections.policy_section import Policy
from pipeline.config.sections.quantize_section import Quantize
from pipeline.config.sections.train_section import Train
from pipeline.config.setting import problems, setting, settings
from pipeline.config.value_rules import at_least

_Section = TypeVar("_Section")


class ConfigError(ValueError):
    """Says that a configuration does not exist or does not fit the schema."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Says all that an experiment depends on."""

    name: str = setting("", "Names the experiment, in its bundle and report.")
    seed: int = setting(0, "Seed of training.", at_least(0))
    memory_gib: float = setting(
        4.0,
        "A split of more pixels is read from its shards as it is trained on.",
        at_least(0),
    )
    data: Data = setting(Data)
    model: Model = setting(Model)
    train: Train = setting(Train)
    quantize: Quantize = setting(Quantize)
    policy: Policy = setting(Policy)
    check: Check = setting(Check)
    benchmark: Benchmark = setting(Benchmark)


def default() -> ml_collections.ConfigDict:
    """Returns the configuration in which every key has its default."""
    return ml_collections.ConfigDict(dataclasses.asdict(Config())).lock()


def validated(
    config: ml_collections.ConfigDict,
) -> ml_collections.ConfigDict:
    """Returns `config` if its keys and values fit the schema.

    Raises:
        ConfigError: Naming each key that is not, what its value must be, and
            what it is.
    """
    _check_keys(config, Config, "config")
    if found := list(problems(Config, config)):
        raise ConfigError("; ".join(found))
    return config


def section(
    kind: type[_Section], config: ml_collections.ConfigDict
) -> _Section:
    """Returns a part of a configuration as the dataclass of its section.

    Args:
        kind: A class of `pipeline.config.sections`.
        config: The part of the configuration, such as `config.data`.

    Raises:
        ConfigError: If it does not fit the section.
    """
    name = kind.__name__.lower()
    _check_keys(config, kind, f"config.{name}")
    if found := list(problems(kind, config, f"{name}.")):
        raise ConfigError("; ".join(found))
    return _built(kind, config.to_dict())


def check_key(config: Mapping[str, Any], key: str, prefix: str) -> None:
    """Checks that `config` has a key.

    Raises:
        ConfigError: Naming the keys that there are, and the nearest.
    """
    if key not in config:
        near = difflib.get_close_matches(key, list(config), n=1)
        hint = f" Did you mean {prefix}.{near[0]}?" if near else ""
        raise ConfigError(
            f"`{prefix}` has only the keys {', '.join(config) or '(none)'}. "
            f"Received: {prefix}.{key}.{hint}"
        )


def _check_keys(config: Any, kind: type, prefix: str) -> None:
    """Checks that a section has its keys, and no others."""
    _check_is_dict(config, prefix)
    known = settings(kind)
    for key in config:
        check_key(known, key, prefix)
    for key, each in known.items():
        if key not in config:
            raise ConfigError(
                f"`{prefix}` must have every key of the schema: start from "
                f"pipeline.config.default(). Missing: {prefix}.{key}"
            )
        if each.is_section:
            _check_keys(config[key], each.type, f"{prefix}.{key}")
        elif each.is_open:
            _check_is_dict(config[key], f"{prefix}.{key}")
        elif each.each and isinstance(config[key], tuple | list):
            for number, element in enumerate(config[key]):
                for inner in element if isinstance(element, dict) else ():
                    place = f"{prefix}.{key}[{number}]"
                    check_key(settings(each.each), inner, place)


def _check_is_dict(config: Any, prefix: str) -> None:
    if not isinstance(config, ml_collections.ConfigDict):
        raise ConfigError(
            f"`{prefix}` must be a ConfigDict. Received: {config!r}"
        )


def _built(kind: type[_Section], values: Mapping[str, Any]) -> _Section:
    return kind(
        **{
            name: _built(each.type, values[name])
            if each.is_section
            else values[name]
            for name, each in settings(kind).items()
        }
    )
