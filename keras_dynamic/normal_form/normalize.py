"""Rewrites any functional model in the vocabulary of the normal form."""

import logging
from collections.abc import Collection
from typing import Any

import keras

from keras_dynamic.graph import functional
from keras_dynamic.normal_form import left_float, live_graph, names, rewrites
from keras_dynamic.normal_form.affine import Affine
from keras_dynamic.normal_form.rewrite import NoNormalFormError, refuse
from keras_dynamic.normal_form.site import Site

_LOG = logging.getLogger(__name__)


def of(model: keras.Model, *, keep: Collection[str] = ()) -> keras.Model:
    """Rewrites a model in the vocabulary of the normal form.

    The result computes what the model computes outside of training, to
    rounding (tests hold 1e-5), of the layers in
    `keras_dynamic.normal_form.vocabulary` alone. Nested models are put in
    their place, activations are layers of their own, what TFLite has no int8
    form of is written as sums and products, augmentation and dropout are left
    out, preprocessing is taken into the first convolution or becomes a 1x1
    depthwise one. Weights are copied; a layer that was frozen is frozen.

    A layer that is called several times is copied for each call. The outputs
    are the same, but training what is returned unties the copies.

    Args:
        model: A functional or Sequential model of fixed size, channels last.
        keep: Names of layers without such a form that are left as they are.

    Returns:
        A functional model, float32, with the inputs of `model`, and one output
        for each of its outputs, in their order: the logits. A softmax that an
        output ends with is left out, with a line in the log, as exit policies
        take logits and apply their own. A layer that gives an output keeps its
        name; if what is left out was named `exit_k`, the layer before it
        gets that name.

    Raises:
        NoNormalFormError: A ValueError that names each layer that cannot be
            rewritten, and what to put instead.
        ValueError: If `model` has no graph, or inputs of variable size, or a
            name in `keep` is none of a layer that its logits depend on, or
            of one that has a form.
    """
    graph = live_graph.live_graph(model)
    for value, tensor in zip(graph.inputs, model.inputs, strict=True):
        if None in value.shape[1:]:
            raise ValueError(
                "`model` must have inputs of fixed size. Received: "
                f"{tensor.name!r} of {model.name!r} with shape {value.shape}"
            )
    if graph.stripped:
        _LOG.info(
            "The softmax of %s is left out of %r: exits give logits.",
            ", ".join(map(repr, graph.stripped)),
            model.name,
        )
    inputs = [
        keras.Input(
            value.shape[1:],
            dtype="float32",
            name=names.valid(tensor._keras_history.operation.name),
        )
        for value, tensor in zip(graph.inputs, model.inputs, strict=True)
    ]
    known = {call.operation.name for call in graph.calls}
    if unknown := sorted(set(keep) - known):
        raise ValueError(
            f"`keep` must name layers of {model.name!r}. Received: {unknown}"
        )
    if keep and (needless := sorted(set(keep) - refusals(model).keys())):
        raise ValueError(
            "`keep` must name layers that have no int8 form. "
            f"Received: {needless}, which have one"
        )
    outputs, refused = _rewritten(graph, inputs, keep)
    if refused:
        raise NoNormalFormError(
            "`model` has layers without an int8 form:\n  "
            + "\n  ".join(refused.values())
            + "\nA layer may stay float, by its name in `quantize.keep_float`, "
            + "where the method is 'keras' or 'ptq'."
            + f"\nReceived: model {model.name!r}"
        )
    return keras.Model(
        inputs if len(inputs) > 1 else inputs[0],
        outputs if _is_list(model) else outputs[0],
        name=model.name,
    )


def refusals(
    model: keras.Model, *, keep: Collection[str] = ()
) -> dict[str, str]:
    """Tells of each layer of a model that has no normal form why, by name.

    Args:
        model: A functional or Sequential model with inputs of fixed size.
        keep: Names of layers that are left as they are.
    """
    graph = live_graph.live_graph(model)
    inputs = [keras.Input(value.shape[1:]) for value in graph.inputs]
    return _rewritten(graph, inputs, keep)[1]


def _is_list(model: keras.Model) -> bool:
    structure = functional.graph_of(model)._outputs_struct
    return isinstance(structure, (list, tuple, dict))


def _rewritten(
    graph: live_graph.LiveGraph,
    inputs: list[keras.KerasTensor],
    keep: Collection[str],
) -> tuple[list[keras.KerasTensor], dict[str, str]]:
    """Makes the new graph; returns its outputs, and what cannot be made."""
    owners = {**names.owners(graph.calls), **graph.exits}
    given = names.Names(
        owners, {each._keras_history.operation.name for each in inputs}
    )
    found = dict(zip(graph.inputs, inputs, strict=True))
    readers = graph.readers()
    made: dict[Affine, keras.KerasTensor] = {}
    refused = {}
    for call in graph.calls:
        args, kwargs = functional.replaced(
            (call.args, call.kwargs),
            functional.Value,
            lambda value: found[graph.value(value)],
        )
        site = Site(
            call,
            args,
            kwargs,
            given,
            made,
            sole=[
                found[value]
                for value in map(graph.value, call.inputs)
                if len(readers[value]) == 1
            ],
            readers=readers[call.results[0]],
        )
        try:
            if call.operation.name in keep:
                results = _as_list(left_float.left(site))
            else:
                results = _as_list(_apply(site))
        except NoNormalFormError as error:
            kind, name = type(call.operation).__name__, call.operation.name
            refused[name] = f"{name!r} ({kind}): {error}"
            # The rest is looked at, too, so that one error names all.
            results = [keras.Input(each.shape[1:]) for each in call.results]
        found.update(zip(call.results, results, strict=True))
    outputs = []
    for value in graph.outputs:
        output = found[value]
        if isinstance(output, Affine):
            output = output.site.tensor(output)
        outputs.append(output)
    return outputs, refused


def _as_list(results: Any) -> list[Any]:
    return list(results) if isinstance(results, (list, tuple)) else [results]


def _apply(site: Site) -> Any:
    """Rewrites one call, and returns its result, or a list of several."""
    operation = site.operation
    rewrite = rewrites.find(operation)
    if isinstance(operation, keras.layers.Lambda):
        raise refuse(
            "it runs a function that no stage can look into",
            "write the function with keras.ops in the graph, or quantize with "
            'the method "ptq"',
        )
    if rewrite is None:
        raise refuse(
            "it has no int8 form that is known here",
            "make it of layers that docs/normal_form.md lists, or quantize "
            'with the method "ptq"',
        )
    if getattr(operation, "data_format", None) == "channels_first":
        raise refuse(
            "its data format is 'channels_first'",
            "build the model with 'channels_last'",
        )
    if any(None in value.shape[1:] for value in site.call.results):
        raise refuse(
            f"it gives shape {site.call.results[0].shape}",
            "let all sizes but the batch's be fixed",
        )
    return rewrite.apply(site)
