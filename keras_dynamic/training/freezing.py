"""Finds the layers that a training leaves as they are, by words."""

import fnmatch
import re
from collections.abc import Iterable

import keras

from keras_dynamic.graph import functional


def chosen(
    model: keras.Model, freeze: str, argument: str = "freeze"
) -> list[keras.layers.Layer]:
    """Finds the layers of a model that `freeze` names, in the model's order.

    Args:
        model: Functional, with one output per exit; others behind these.
        freeze: Words with commas between: names of layers, or patterns of
            them as in `fnmatch`; "backbone" for all layers that belong to no
            exit by their names; "up to exit k" for all that exit k depends
            on. A word behind "!" takes what it names out again.
        argument: Name of the setting, for an error.

    Raises:
        ValueError: If a word names no layer.
    """
    found: set[str] = set()
    for word in filter(None, map(str.strip, freeze.split(","))):
        taken = word.removeprefix("!").strip()
        names = _named(model, taken)
        if not names:
            exits = range(len(model.outputs))
            examples = ", ".join(each.name for each in model.layers[1:4])
            raise ValueError(
                f"`{argument}` must have words that name layers of "
                f'{model.name!r}: "backbone", "up to exit k" with k from 0 to '
                f"{exits[-1]}, or names and patterns of its "
                f"{len(model.layers)} layers, such as {examples}. "
                f"Received: {word!r}"
            )
        found = found - names if word.startswith("!") else found | names
    return [layer for layer in model.layers if layer.name in found]


def freeze(
    model: keras.Model,
    layers: Iterable[keras.layers.Layer],
    argument: str = "freeze",
) -> None:
    """Leaves the weights of some layers out of the training of a model.

    Raises:
        ValueError: If no weight is left to train.
    """
    for layer in layers:
        layer.trainable = False
    if not model.trainable_variables:
        raise ValueError(
            f"`{argument}` must leave some weights to train. Received: a model "
            f"of {len(model.layers)} layers, all frozen by it or the objective"
        )


def _named(model, word) -> set[str]:
    names = {layer.name for layer in model.layers}
    if word == "backbone":
        return {each for each in names if functional.exit_of(each) is None}
    if place := re.fullmatch(r"up to exit (\d+)", word):
        outputs = model.outputs[int(place[1]) :][:1]
        nodes = functional.ancestors(outputs, set())
        return {node.operation.name for node in nodes} & names
    return set(fnmatch.filter(names, word))
