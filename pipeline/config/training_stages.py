"""Resolves the stages of a training: what each one takes from where."""

import copy
from typing import Any

import ml_collections

# What goes with a name goes with no other one.
_ARGUMENTS = {
    "objective": "objective_arguments",
    "optimizer": "optimizer_arguments",
    "augmentation": "augmentation_options",
}


def of(
    config: ml_collections.ConfigDict,
) -> tuple[ml_collections.ConfigDict, ...]:
    """Returns the whole configuration as it holds in each stage.

    What a stage does not say it takes from `config.train`; but another
    objective, optimizer or augmentation than there comes without the arguments
    of that one. Whoever carries a stage out need not know that it is one.

    Args:
        config: The configuration, validated.

    Returns:
        Configurations without stages, in order: without `train.stages` the
        given one alone.
    """
    if not config.train.stages:
        return (config,)
    return tuple(_resolved(config, dict(each)) for each in config.train.stages)


def arguments(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns what may name a file that trained weights depend on.

    That is a teacher, a backbone, weights to start from, anything that an
    augmentation reads.

    Args:
        config: The whole configuration.

    Returns:
        Values by names of their own.
    """
    found = {"initial_weights": config.train.initial_weights}
    for number, stage in enumerate((config.train, *config.train.stages)):
        for name in _ARGUMENTS.values():
            value = stage.get(name, {})
            if isinstance(value, ml_collections.ConfigDict):
                value = value.to_dict()
            found[f"stages[{number - 1}].{name}" if number else name] = value
    return found


def key(config: ml_collections.ConfigDict, stage: int, name: str) -> str:
    """Returns the key that a stage has a value from, for an error.

    Args:
        config: The whole configuration.
        stage: Number of the stage, from 0.
        name: Name of the key in its section, such as "freeze".
    """
    stages = config.train.stages
    said = stages and name in stages[stage]
    return f"train.stages[{stage}].{name}" if said else f"train.{name}"


def _resolved(config, said):
    for name, arguments in _ARGUMENTS.items():
        if said.get(name, config.train[name]) != config.train[name]:
            said.setdefault(arguments, {})
    resolved = copy.deepcopy(config)
    with resolved.unlocked():
        resolved.train.stages = ()
        for name, value in said.items():
            if name in _ARGUMENTS.values():
                value = ml_collections.ConfigDict(value)
            resolved.train[name] = value
    return resolved
