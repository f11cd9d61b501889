"""Holds a table of all that a configuration can name, with costs.

`keras-dynamic list` reads the table, so that it need not import or build
anything. The table is made from the code, and rewritten after a change of a
configuration or a builder with

    python -m pipeline.cli.catalogue
"""

import json
import os
import pathlib
from typing import Any

PATH = pathlib.Path(__file__).with_name("catalogue.json")

# A configuration says in its name which images it is for.
DATA_SETS = ("digits", "cifar10", "cifar100", "photos", "imagenet")
# What stands for the classes where they are counted in the data.
_CLASSES = 10


def read() -> dict[str, Any]:
    """Returns the table.

    Its keys are "models", "objectives", "sources" and "rules", lists of names,
    and "configurations", a dict from each name to the facts that `cost`
    returns.
    """
    return json.loads(PATH.read_text(encoding="utf-8"))


def names() -> dict[str, list[str]]:
    """Returns the names that a configuration can use, from the code."""
    from keras_dynamic import exits, models, objectives
    from pipeline import sources

    return {
        "models": sorted(models.BUILDERS),
        "objectives": sorted(objectives.BUILDERS),
        "sources": sorted(sources.names()),
        "rules": sorted(exits.RULES),
    }


def cost(name: str) -> dict[str, Any]:
    """Builds the model of a configuration, and returns its costs.

    Args:
        name: Name of a built-in configuration.

    Returns:
        `data_set`, `family`, `size` and `channels` of the input, `classes` (0:
        as many as the data has; counted with 10), `exits`, the `madds` up to
        the first and up to the last exit, and `params` of the whole model.

    Raises:
        ValueError: If the name has not one of `DATA_SETS`.
    """
    import keras

    from keras_dynamic import exit_costs
    from pipeline import config
    from pipeline.training import network

    loaded = config.load(name)
    found = [each for each in name.split("_") if each in DATA_SETS]
    if len(found) != 1:
        raise ValueError(
            f"`name` must have one of {', '.join(DATA_SETS)} in it. "
            f"Received: {name}"
        )
    labels = 0 if loaded.model.classes else _CLASSES
    # Weights have shapes, but no values: that takes neither time nor memory.
    with keras.StatelessScope(initialize_variables=False):
        costs = exit_costs(network.build(loaded, labels, weights=False))
    return {
        "data_set": found[0],
        "family": loaded.model.family,
        "size": loaded.model.size,
        "channels": loaded.data.channels,
        "classes": loaded.model.classes,
        "exits": len(costs),
        "madds": [costs[0].madds, costs[-1].madds],
        "params": costs[-1].params,
    }


def made() -> dict[str, Any]:
    """Builds every model, and returns the table as the code is now."""
    from pipeline import config

    return {
        **names(),
        "configurations": {name: cost(name) for name in config.names()},
    }


def text(table: dict[str, Any]) -> str:
    """Returns the table as text of the file: a line per configuration."""
    lines = [
        f'  "{key}": {json.dumps(value)}'
        for key, value in table.items()
        if key != "configurations"
    ]
    rows = [
        f'    "{name}": {json.dumps(facts)}'
        for name, facts in table["configurations"].items()
    ]
    body = ",\n".join(rows)
    lines.append(f'  "configurations": {{\n{body}\n  }}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    PATH.write_text(text(made()), encoding="utf-8")
