"""Reads the graph of a functional model."""

import collections
import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """Stands for a tensor of a flattened graph; two are never equal.

    Attributes:
        shape: Its shape, None for the batch.
        call: The call that gives it; None for an input.
    """

    shape: tuple[int | None, ...]
    call: "Call | None" = None


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """Describes the call of a layer, or of an operation of `keras.ops`.

    Attributes:
        operation: What is called, not a model with a graph of its own.
        args: Its positional arguments, a `Value` for each tensor.
        kwargs: Its keyword arguments, likewise.
        within: Names of the models that were called as layers around it.
        results: The tensors it gives.
    """

    operation: keras.Operation
    args: tuple
    kwargs: Mapping[str, Any]
    within: tuple[str, ...] = ()
    results: list[Value] = dataclasses.field(default_factory=list)

    @property
    def inputs(self) -> list[Value]:
        """Lists the tensors among its arguments, in their order."""
        return leaves((self.args, self.kwargs))


@dataclasses.dataclass(frozen=True)
class Flattened:
    """Holds a functional model with the models that it calls put in.

    Attributes:
        inputs: The model's inputs.
        calls: All calls, each after those that it needs.
        outputs: The model's outputs.
    """

    inputs: tuple[Value, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Value, ...]


def graph_of(model: Any) -> keras.Model | None:
    """Returns the functional model of a model; None if it has no graph.

    A `Sequential` model that knows its input has one. A subclass with a `call`
    of its own may have one, too, but does not run it.
    """
    if not isinstance(model, keras.Model):
        return None
    model = getattr(model, "_functional", None) or model
    runs_it = type(model).call.__qualname__ == "Functional.call"
    return model if runs_it else None


def flattened(model: keras.Model) -> Flattened:
    """Reads a functional or Sequential model, nested ones put in their place.

    Raises:
        ValueError: If `model` has no graph.
    """
    if graph_of(model) is None:
        raise ValueError(
            "`model` must be a functional keras.Model, or a Sequential one "
            f"with an Input. Received: model={model!r}"
        )
    calls: list[Call] = []

    def run(model, given, within):
        found = dict(zip(map(_key, model.inputs), given, strict=True))
        for node in calls_in_order(model):
            args, kwargs = replaced(
                (node.arguments.args, node.arguments.kwargs),
                keras.KerasTensor,
                lambda tensor: found[_key(tensor)],
            )
            inner, name = graph_of(node.operation), node.operation.name
            if inner is None:
                call = Call(node.operation, args, kwargs, within)
                call.results.extend(
                    Value(shape, call) for shape in _shapes(node, call)
                )
                calls.append(call)
                results = call.results
            else:
                given = leaves((args, kwargs))
                results = run(inner, given, (*within, name))
            found.update(zip(map(_key, node.outputs), results, strict=True))
        return [found[_key(tensor)] for tensor in model.outputs]

    model = graph_of(model)
    inputs = tuple(Value(tuple(each.shape)) for each in model.inputs)
    outputs = run(model, inputs, ())
    return Flattened(inputs, tuple(calls), tuple(outputs))


def _shapes(node, call: Call) -> list[tuple]:
    """Returns the shapes of a call's results.

    A nested model may be made for images of any size: what it is called with
    says more than its own tensors do.
    """
    shapes = [tuple(each.shape) for each in node.outputs]
    if not call.within or all(None not in shape[1:] for shape in shapes):
        return shapes
    args, kwargs = replaced(
        (call.args, call.kwargs),
        Value,
        lambda value: keras.KerasTensor(value.shape),
    )
    found = call.operation.compute_output_spec(*args, **kwargs)
    return [tuple(each.shape) for each in keras.tree.flatten(found)]


def readers(graph: Flattened) -> Mapping[Value, int]:
    """Counts how often each tensor is read, by calls and as an output."""
    return collections.Counter(
        [each for call in graph.calls for each in call.inputs]
        + list(graph.outputs)
    )


def leaves(structure: Any) -> list[Value]:
    """Lists the tensors in lists, tuples and dictionaries, in their order."""
    found = []
    replaced(structure, Value, found.append)
    return found


def replaced(
    structure: Any, kind: type | tuple, give: Callable[[Any], Any]
) -> Any:
    """Returns lists, tuples and dictionaries with other things in them.

    Args:
        structure: Them, nested in any way.
        kind: The class of what is replaced, or several.
        give: Returns what stands in its place.
    """
    if isinstance(structure, kind):
        return give(structure)
    if isinstance(structure, (list, tuple)):
        return type(structure)(
            [replaced(each, kind, give) for each in structure]
        )
    if isinstance(structure, dict):
        return {
            name: replaced(each, kind, give) for name, each in structure.items()
        }
    return structure


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
    for node in calls_in_order(model):
        given = [found[_key(tensor)] for tensor in node.input_tensors]
        # Merging layers take a list, the others one tensor.
        result = call(node.operation, given if len(given) > 1 else given[0])
        results = result if isinstance(result, list) else [result]
        found.update(zip(map(_key, node.outputs), results, strict=True))
    return [found[_key(tensor)] for tensor in model.outputs]


def _key(tensor):
    history = tensor._keras_history
    return history.operation.name, history.node_index, history.tensor_index


def calls_in_order(model: keras.Model) -> Iterator:
    """Yields the layer calls of a functional model, each after its inputs."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.input_tensors:
                yield node
