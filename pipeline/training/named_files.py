"""Hashes the files that a configuration names for the training."""

import importlib.machinery
import pathlib
import sys

import ml_collections

from pipeline.config import training_stages
from pipeline.storage import fingerprint


def hashes(config: ml_collections.ConfigDict) -> dict[str, str]:
    """Returns the hash of each file that the trained weights depend on.

    Any argument may be one: a saved model, weights, a teacher. So may the
    module of `model.family` be, where that is module:function; what the module
    imports is not looked at.

    Args:
        config: The whole configuration.

    Returns:
        The hashes by the arguments' names; empty if there is no file.
    """
    family, colon, _ = config.model.family.partition(":")
    named = {
        **training_stages.arguments(config),
        "model": config.model.arguments.to_dict(),
    }
    if colon:
        named["family"] = _source(family)
    return fingerprint.of_files(named)


def _source(module: str) -> str:
    """Returns the path of a module, which is not run; or "" if unknown."""
    *packages, name = module.split(".")
    for directory in (".", *sys.path):
        place = pathlib.Path(directory, *packages)
        found = importlib.machinery.FileFinder(
            str(place), (importlib.machinery.SourceFileLoader, [".py"])
        ).find_spec(name)
        if found and found.origin:
            return found.origin
    return ""
