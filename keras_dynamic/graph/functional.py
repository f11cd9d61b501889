"""Reading the graph of a functional model."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

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
        seen: Of each call its `id`; those that are yielded are added.
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


def follow(
    model: keras.Model,
    inputs: Sequence[Any],
    call: Callable[[keras.layers.Layer, Any], Any],
) -> list:
    """Goes through the graph of a functional model with other calls.

    Args:
        model: The model whose graph it is.
        inputs: What stands for its inputs.
        call: What stands for the call of one of its layers: a function of the
            layer and its input, or list of inputs if there are several. For a
            layer with several outputs it gives a list.

    Returns:
        What that gives for each of its outputs.
    """
    found = dict(zip(map(_key, model.inputs), inputs, strict=True))
    for node in _calls_in_order(model):
        given = [found[_key(tensor)] for tensor in node.input_tensors]
        # Merging layers take a list, the others one tensor.
        result = call(node.operation, given if len(given) > 1 else given[0])
        results = result if isinstance(result, list) else [result]
        found.update(zip(map(_key, node.outputs), results, strict=True))
    return [found[_key(tensor)] for tensor in model.outputs]


def _key(tensor):
    history = tensor._keras_history
    return history.operation.name, history.node_index, history.tensor_index


def _calls_in_order(model):
    """The layer calls of a functional model, each after what it needs."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.input_tensors:
                yield node
