"""Reads the graph of a functional model."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras


def producer(tensor: keras.KerasTensor):
    """Returns the layer's call, a Keras `Node`, that gave a symbolic tensor."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def exit_of(layer: str) -> int | None:
    """Tells by a layer's name the exit it classifies for; None for the rest."""
    found = re.match(r"exit_(\d+)(_|$)", layer)
    return int(found[1]) if found else None


def ancestors(tensors: Iterable[keras.KerasTensor], seen: set[int]) -> Iterator:
    """Yields the calls that tensors depend on, but for those in `seen`.

    Args:
        tensors: Symbolic tensors.
        seen: The `id` of each call; those that are yielded are added.
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
    """Returns the outputs of the layers named `block{k}_...`, by block."""
    found = {}
    # Not the layers' outputs: other models may have called them, too.
    for node in ancestors(model.outputs, set()):
        if named := re.match(r"block(\d+)_", node.operation.name):
            found.setdefault(int(named[1]), []).extend(node.outputs)
    return found


def exit_feature(output: keras.KerasTensor, exit: int) -> keras.KerasTensor:
    """Finds the tensor that enters the classifier of an exit.

    It goes back from the exit's output, from each layer to the first of its
    inputs, past the layers that the classifier consists of.
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
    """Runs the graph of a functional model with other inputs and calls.

    Args:
        model: The model whose graph is run.
        inputs: Values that stand for the model's inputs, one for each.
        call: Function that stands for the call of a layer: it takes the layer
            and its input, or a list of inputs if there are several. For a
            layer with several outputs it gives a list.

    Returns:
        The values that stand for the model's outputs, one for each.
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
    """Yields the layer calls of a functional model, each after its inputs."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.input_tensors:
                yield node
