"""Reading the graph of a functional model."""

import re
from collections.abc import Iterable, Iterator

import keras


def producer(tensor: keras.KerasTensor):
    """The call of a layer (a Keras `Node`) that gave a symbolic tensor."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def exit_of(layer: str) -> int | None:
    """The exit that a layer classifies for, by its name; None for the rest."""
    found = re.match(r"exit_(\d+)(_|$)", layer)
    return int(found[1]) if found else None


def ancestors(tensors: Iterable[keras.KerasTensor], seen: set[int]) -> Iterator:
    """Yields the calls that tensors depend on, but for those in `seen`.

    Args:
        tensors: Symbolic tensors.
        seen: The `id`s of calls; those that are yielded are added.
    """
    waiting = [producer(tensor) for tensor in tensors]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        waiting.extend(producer(tensor) for tensor in node.input_tensors)


def blocks(model: keras.Model) -> dict[int, list[keras.KerasTensor]]:
    """What the layers named `block{k}_...` give, by block."""
    found = {}
    # Not the layers' outputs: other models may have called them, too.
    for node in ancestors(model.outputs, set()):
        if named := re.match(r"block(\d+)_", node.operation.name):
            found.setdefault(int(named[1]), []).extend(node.outputs)
    return found


def exit_feature(output: keras.KerasTensor, exit: int) -> keras.KerasTensor:
    """The tensor that enters the classifier of an exit.

    Found from the exit's output by going back, from each layer to the first of
    its inputs, past the layers that the classifier consists of.
    """
    tensor = output
    while inputs := producer(tensor).input_tensors:
        tensor = inputs[0]
        if exit_of(producer(tensor).operation.name) != exit:
            break
    return tensor
