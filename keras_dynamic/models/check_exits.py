"""Says at once what later stages could not do with a model."""

import logging
import re
from collections.abc import Collection

import keras

from keras_dynamic.graph import functional
from keras_dynamic.normal_form import live_graph, normalize
from keras_dynamic.normal_form.rewrites import elementwise

_LOG = logging.getLogger(__name__)


def check_exits(
    model: keras.Model, deploy: bool = True, *, keep_float: Collection[str] = ()
) -> keras.Model:
    """Checks that a model has exits, and that each layer can be carried on.

    Exit k is the k-th output: logits [batch, classes], of a layer that is named
    `exit_k`. A softmax that ends an output does no harm, as the normal form
    leaves it out. A model with one output passes, with a line in the log.

    Args:
        model: A functional or Sequential model of images, channels last.
        deploy: Whether each layer must have an int8 form, too; False for a
            model that is trained and evaluated only, or quantized with the
            method "ptq".
        keep_float: Names of layers that need none.

    Returns:
        The model.

    Raises:
        ValueError: If something is wrong. It says all of it, in a line each,
            with the layer's name and what to put instead.
    """
    if functional.graph_of(model) is None:
        raise ValueError(
            "`model` must be a functional keras.Model, or a Sequential one "
            "with an Input; of a subclassed model, build the same graph with "
            f"keras.Model(inputs, outputs). Received: model={model!r}"
        )
    graph = live_graph.live_graph(model)
    fixed, wrong = _inputs(model)
    wrong += _outputs(model, graph)
    wrong += _activations(graph)
    if deploy and fixed:
        wrong += normalize.refusals(model, keep=keep_float).values()
    if wrong:
        raise ValueError(
            "`model` cannot be carried through all stages:\n  "
            + "\n  ".join(wrong)
            + f"\nReceived: model {model.name!r}"
        )
    if len(graph.outputs) == 1:
        _LOG.warning("%r has one output: nothing can stop early.", model.name)
    return model


def _inputs(model: keras.Model) -> tuple[bool, list[str]]:
    """Tells whether sizes are fixed, and lists what is wrong with inputs."""
    wrong, fixed = [], True
    if len(model.inputs) != 1:
        wrong.append(
            f"it has {len(model.inputs)} inputs; let it have one, the image"
        )
    for tensor in model.inputs:
        name, shape = tensor._keras_history.operation.name, tuple(tensor.shape)
        if None in shape[1:]:
            fixed = False
            wrong.append(
                f"input {name!r} has shape {shape}; fix all sizes but the "
                "batch's, for instance keras.Input((160, 160, 3))"
            )
        if len(shape) != 4:
            wrong.append(
                f"input {name!r} has shape {shape}; let it be [batch, height, "
                "width, channels]"
            )
    return fixed, wrong


def _outputs(model: keras.Model, graph: live_graph.LiveGraph) -> list[str]:
    """Lists what is wrong with names and shapes of the outputs."""
    wrong = []
    classes = graph.outputs[-1].shape[-1]
    names = [_names(model, graph, exit) for exit in range(len(graph.outputs))]
    for exit, value in enumerate(graph.outputs):
        name = names[exit][0]
        if f"exit_{exit}" not in names[exit]:
            wrong.append(
                f"output {exit} is given by the layer {name!r}; name it "
                f"'exit_{exit}'"
            )
        if len(value.shape) != 2 or None in value.shape[1:]:
            wrong.append(
                f"output {exit} ({name!r}) has shape {value.shape}; let it be "
                "[batch, classes], for instance by pooling and a Dense layer"
            )
        elif value.shape[1] < 2:
            wrong.append(
                f"output {exit} ({name!r}) has one number per image; let it "
                "have one for each of two or more classes"
            )
        elif value.shape[1] != classes:
            wrong.append(
                f"output {exit} ({name!r}) has {value.shape[1]} classes, the "
                f"last one {classes}; let all have as many"
            )
        if value in graph.outputs[:exit]:
            wrong.append(
                f"output {exit} ({name!r}) is output "
                f"{graph.outputs.index(value)}, too; give each once"
            )
    taken = {f"exit_{exit}" for exit in range(len(graph.outputs))}
    given = {each for found in names for each in found}
    wrong += [
        f"{call.operation.name!r} is named like an exit, and gives no output; "
        "give it another name, or make it an output"
        for call in graph.calls
        if re.fullmatch(r"exit_\d+", call.operation.name)
        and call.operation.name not in taken & given
    ]
    return wrong


def _names(model, graph, exit: int) -> list[str]:
    """Lists the names that an output may go by, its layer's first."""
    found = []
    before = functional.flattened(model).outputs[exit].call
    for call in (before, graph.outputs[exit].call):
        if call is not None:
            found.append(call.operation.name)
    return found or ["an input"]


# What does not turn logits into something else.
_LOGITS = ("linear", "softmax", "log_softmax")


def _activations(graph: live_graph.LiveGraph) -> list[str]:
    """Lists activations by which outputs are no logits."""
    wrong = []
    for exit, value in enumerate(graph.outputs):
        if value.call is None:
            continue
        operation = value.call.operation
        function = getattr(operation, "activation", None)
        name = elementwise.name_of(function)
        if name not in _LOGITS:
            wrong.append(
                f"output {exit} ({operation.name!r}) has the activation "
                f"{name!r}; leave it out, as an exit gives logits"
            )
        wrong += _inner_softmax(graph, exit, value)
    return wrong


def _inner_softmax(graph, exit: int, output: functional.Value) -> list[str]:
    """Lists softmax over classes from which an output is made by no weights."""
    found, waiting, seen = [], [output], set()
    while waiting:
        value = graph.value(waiting.pop())
        if value.call is None or value.call in seen:
            continue
        seen.add(value.call)
        operation = value.call.operation
        softmax = live_graph.is_softmax(value)
        softmax |= live_graph.has_softmax(value.call) and value is not output
        if softmax and value.shape == output.shape:
            found.append(
                f"output {exit} is made of the softmax {operation.name!r} "
                "inside of the graph; make it of logits"
            )
        elif not getattr(operation, "weights", ()):
            waiting += value.call.inputs
    return found
