"""Reads a model as what runs outside of training, from images to logits."""

import collections
import dataclasses
import re
from collections.abc import Mapping, Sequence

import keras

from keras_dynamic.graph import functional
from keras_dynamic.normal_form.rewrites import elementwise, preprocessing


@dataclasses.dataclass(frozen=True)
class LiveGraph:
    """Holds the calls of a model that its logits depend on.

    Attributes:
        inputs: The model's inputs.
        calls: The calls, each after those that it needs.
        outputs: The logits, one for each output of the model.
        stands_for: What stands for the result of a call that is left out.
        stripped: Names of layers behind the logits that are left out: softmax.
        exits: Names of the outputs, where the layer of the logits has another.
    """

    inputs: tuple[functional.Value, ...]
    calls: tuple[functional.Call, ...]
    outputs: tuple[functional.Value, ...]
    stands_for: Mapping[functional.Value, functional.Value]
    stripped: tuple[str, ...]
    exits: Mapping[functional.Call, str]

    def value(self, value: functional.Value) -> functional.Value:
        """Returns what stands for a value, mostly itself."""
        while value in self.stands_for:
            value = self.stands_for[value]
        return value

    def readers(self) -> Mapping[functional.Value, list]:
        """Lists the calls that read each value, and None for an output."""
        found = collections.defaultdict(list)
        for call in self.calls:
            for each in call.inputs:
                found[self.value(each)].append(call)
        for each in self.outputs:
            found[each].append(None)
        return found


def live_graph(model: keras.Model) -> LiveGraph:
    """Reads the calls that a model's logits depend on outside of training."""
    graph = functional.flattened(model)
    stands_for = {
        call.results[0]: call.inputs[0]
        for call in graph.calls
        if preprocessing.left_out(call)
    }
    stripped, exits, outputs = [], {}, []
    for output in graph.outputs:
        value = output
        while value in stands_for or is_softmax(value):
            if value not in stands_for:
                stripped.append(value.call.operation.name)
            value = value.call.inputs[0]
        outputs.append(value)
        if value.call is None:
            continue
        name = output.call.operation.name
        if value is not output and re.fullmatch(r"exit_\d+", name):
            exits[value.call] = name
        if has_softmax(value.call):
            stripped.append(value.call.operation.name)
    needed = _needed(outputs, stands_for)
    return LiveGraph(
        graph.inputs,
        tuple(
            call
            for call in graph.calls
            if call in needed and call.results[0] not in stands_for
        ),
        tuple(outputs),
        stands_for,
        tuple(stripped),
        exits,
    )


def has_softmax(call: functional.Call) -> bool:
    """Tells whether a weighted layer has a softmax as its activation."""
    weighted = (
        keras.layers.Conv2D,
        keras.layers.Dense,
        keras.layers.DepthwiseConv2D,
    )
    return isinstance(call.operation, weighted) and elementwise.is_softmax(
        call.operation.activation
    )


def is_softmax(value: functional.Value) -> bool:
    """Tells whether a value is a softmax over the last axis."""
    if value.call is None or len(value.call.inputs) != 1:
        return False
    operation, last = value.call.operation, len(value.shape) - 1
    if type(operation) is keras.layers.Activation:
        return elementwise.is_softmax(operation.activation)
    kind = type(operation).__name__
    return kind in ("Softmax", "LogSoftmax") and operation.axis in (-1, last)


def _needed(outputs: Sequence, stands_for: Mapping) -> set[functional.Call]:
    """Finds the calls that outputs depend on."""
    found, waiting = set(), list(outputs)
    while waiting:
        value = waiting.pop()
        if value in stands_for:
            waiting.append(stands_for[value])
        elif value.call is not None and value.call not in found:
            found.add(value.call)
            waiting += value.call.inputs
    return found
