"""Runs the graph of a functional model again, with nested models laid open.

A model called as a layer is replaced by the calls within it, so that a tensor
inside it can be read. Layers are shared, not copied, and keep their weights;
only where two of them have one name the later one is copied under another.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_dynamic.graph import functional


@dataclasses.dataclass(frozen=True)
class Inlined:
    """Holds the tensors that calling a graph again gave.

    Attributes:
        outputs: Tensors that stand for the model's outputs, in their order.
        tensors: By each layer's path, the first output of each of its calls. A
            layer of a nested model has the path "outer/inner".
    """

    outputs: tuple[Any, ...]
    tensors: Mapping[str, tuple[Any, ...]]


def has_nested(model: keras.Model) -> bool:
    """Tells whether a layer of a functional model is such a model itself."""
    return any(map(functional.graph_of, model.layers))


def layers_by_path(model: keras.Model, prefix: str = "") -> dict[str, Any]:
    """Returns the layers of a model, and of models within it, by path."""
    found = {}
    for layer in model.layers:
        path = prefix + layer.name
        if functional.graph_of(layer):
            found |= layers_by_path(layer, f"{path}/")
        else:
            found[path] = layer
    return found


def inlined(
    model: keras.Model,
    inputs: Sequence[Any],
    instead: Mapping[str, keras.layers.Layer] | None = None,
) -> Inlined:
    """Calls the layers of a functional model, and of models within it, again.

    Args:
        model: A functional or built Sequential model.
        inputs: Symbolic tensors that stand for its inputs, one for each.
        instead: By path, layers to call in the place of others.

    Raises:
        ValueError: If a layer must be copied, and cannot be.
    """
    run = _Run(inputs, instead or {})
    outputs = run.graph(model, inputs, "", {})
    return Inlined(outputs, run.tensors)


def renamed(layer: keras.layers.Layer, name: str) -> keras.layers.Layer:
    """Copies a layer, or an operation, under another name, with its weights.

    Raises:
        ValueError: If it cannot be made again of its configuration.
    """
    return _copied(layer, {"name": name})


def without_activation(
    layer: keras.layers.Layer, name: str
) -> keras.layers.Layer:
    """Copies a layer under another name, with no activation of its own.

    Raises:
        ValueError: If it cannot be made again of its configuration.
    """
    return _copied(layer, {"name": name, "activation": "linear"})


def _copied(layer, changes):
    weights = getattr(layer, "weights", ())
    try:
        copy = type(layer).from_config(layer.get_config() | changes)
        if weights:
            copy.build_from_config(layer.get_build_config())
    except Exception as error:
        # What a class of a user's raises is not known.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(
            "`model` must have layers whose get_config() describes them. "
            f"Received: {layer.name!r} of class {type(layer).__name__}: "
            f"{reason}"
        ) from error
    # Where a model is built for its shapes alone, weights have no values.
    if weights and all(each._value is not None for each in weights):
        copy.set_weights(layer.get_weights())
    return copy


class _Run:
    """Calls graphs again, and remembers what their layers gave."""

    def __init__(
        self,
        inputs: Sequence[Any],
        instead: Mapping[str, keras.layers.Layer],
    ):
        self.tensors: dict[str, tuple[Any, ...]] = {}
        self._instead = instead
        known = [tensor._keras_history.operation for tensor in inputs]
        known += instead.values()
        self._named = {layer.name: layer for layer in known}
        self._copies: dict[int, Any] = {}

    def graph(self, model, inputs, prefix, context):
        """Runs one graph, and returns what stands for its outputs.

        `context` are the arguments that the model was called with beside its
        inputs, such as `training`: they hold for the layers within.
        """
        graph = functional.graph_of(model)
        values = dict(zip(map(id, graph.inputs), inputs, strict=True))
        for node in functional.calls_in_order(graph):
            args, kwargs = node.arguments.fill_in(values)
            kwargs |= _known(node.operation, context, kwargs)
            path = prefix + node.operation.name
            results = self._results(node.operation, path, args, kwargs)
            self.tensors[path] = (*self.tensors.get(path, ()), results[0])
            values |= zip(map(id, node.outputs), results, strict=True)
        return tuple(values[id(tensor)] for tensor in graph.outputs)

    def _results(self, layer, path, args, kwargs):
        if functional.graph_of(layer):
            return self.graph(
                layer, keras.tree.flatten(args), f"{path}/", kwargs
            )
        called = self._instead.get(path) or self._own(layer, path)
        return keras.tree.flatten(called(*args, **kwargs))

    def _own(self, layer, path):
        """Returns the layer, or a copy where its name is another one's."""
        if self._named.setdefault(layer.name, layer) is layer:
            return layer
        if id(layer) not in self._copies:
            name = path.replace("/", "_")
            while name in self._named:
                name += "_again"
            self._copies[id(layer)] = renamed(layer, name)
            self._named[name] = self._copies[id(layer)]
        return self._copies[id(layer)]


def _known(layer, context, kwargs):
    """Returns what of the context a layer takes, and was not given itself."""
    takes = getattr(layer, "_call_context_args", ())
    return {
        name: value
        for name, value in context.items()
        if name in takes and kwargs.get(name) is None
    }
