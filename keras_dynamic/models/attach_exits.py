"""Gives a functional model exits: classifiers at places within it."""

import difflib
from collections.abc import Sequence

import keras

from keras_dynamic.graph import exit_places, functional, inlining
from keras_dynamic.models.blocks import (
    arguments,
    convolutions,
    endings,
    outside,
)

# Convolutions with strides 2 before the mean.
HEADS = {"dense": 0, "conv1": 1, "conv2": 2}
# Channels of a head's convolution, at most, unless they are given.
_WIDEST = 128


def attach_exits(
    model: keras.Model,
    at: int | Sequence[str],
    *,
    classes: int,
    head: str = "dense",
    head_width: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Returns a model with classifiers at some places of another one.

    The layers of `model` are shared with it, and so are their weights; but
    those that are renamed are copied. Nested models are laid open. The logits
    of exit k are the output of the layer `exit_k`, the last of them those of
    the end of `model`:

    - logits of as many classes, or a softmax of them, stay; the softmax is
      left out.
    - a classifier of other classes is left out, for a new one.
    - features, a map or a vector, get a new classifier.

    Args:
        model: Functional or Sequential, with one input [batch, height, width,
            channels] of fixed size and one output.
        at: Layers that give a map [batch, height, width, channels], in the
            order of the exits; that of a nested model as "outer/inner". Or how
            many: the places are then chosen by equal steps of multiply-adds,
            where as few tensors as possible cross. Either way the end of the
            model is one exit more; none leaves just that.
        classes: Number of classes.
        head: What an exit within the model has before its logits: "dense",
            the mean of the map; "conv1" or "conv2", one or two 3x3
            convolutions with strides 2 and then the mean.
        head_width: Channels of these convolutions; None for as many as the
            map has, 128 at most.
        name: Name of the new model; None for that of `model`.

    Raises:
        ValueError: If an argument is not as said.
    """
    outside.require_one_image(model)
    arguments.require_positive_integers(classes=classes)
    arguments.require_one_of(tuple(HEADS), head=head)
    if head_width is not None:
        arguments.require_positive_integers(head_width=head_width)
    if len(model.outputs) != 1:
        raise ValueError(
            "`model` must have one output; one with several has its exits "
            f"already. Received: {model.name!r} with {len(model.outputs)}"
        )
    count = at if isinstance(at, int) else len(at)
    end = endings.ending(model, 0)
    kept = end.shape == (classes,)
    image = keras.Input(shape=model.inputs[0].shape[1:], name="image")
    again = inlining.inlined(
        model, [image], _renamed(model, end if kept else None, f"exit_{count}")
    )
    features = [again.tensors[path][0] for path in _chosen(again, at)]
    logits = [
        _classified(feature, classes, HEADS[head], head_width, exit)
        for exit, feature in enumerate(features)
    ]
    last = again.tensors[end.path][-1]
    logits.append(last if kept else _new_end(last, end, classes, count))
    return keras.Model(image, logits, name=name or model.name)


def places(model: keras.Model) -> tuple[exit_places.ExitPlace, ...]:
    """Lists the places where an exit can be attached, shallow to deep.

    Args:
        model: As for `attach_exits`; of several outputs the last one counts.

    Raises:
        ValueError: If it is not such a model.
    """
    outside.require_one_image(model)
    image = keras.Input(shape=model.inputs[0].shape[1:])
    again = inlining.inlined(model, [image])
    return exit_places.exit_places(again.outputs, again.tensors)


def _renamed(model, end, exit):
    """Copies what must be called otherwise: the end, and earlier exits."""
    instead = {}
    for path, layer in inlining.layers_by_path(model).items():
        earlier = functional.exit_of(layer.name)
        if earlier is not None:
            name = layer.name.replace(f"exit_{earlier}", exit, 1)
            instead[path] = inlining.renamed(layer, name)
    if end:
        instead[end.path] = endings.logits_layer(end, exit)
    return instead


def _chosen(again, at):
    """Returns the paths of the layers that get an exit."""
    if isinstance(at, int):
        if at == 0:
            return []
        found = exit_places.exit_places(again.outputs, again.tensors)
        return [each.layer for each in exit_places.by_cost(found, at)]
    for path in at:
        _check_place(again.tensors, path, at)
    return list(at)


def _check_place(tensors, path, at):
    if path not in tensors:
        near = difflib.get_close_matches(path, list(tensors), n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(
            "`at` must name layers of the model, those of a nested model as "
            f"'outer/inner'. Received: {path!r}.{hint}"
        )
    calls = tensors[path]
    if len(calls) > 1 or len(calls[0].shape) != 4:
        shapes = [tuple(each.shape) for each in calls]
        raise ValueError(
            "`at` must name layers that are called once and give a map [batch, "
            f"height, width, channels]. Received: {path!r}, which gives "
            f"{shapes}"
        )
    if list(at).count(path) > 1:
        raise ValueError(
            f"`at` must name each layer once. Received: {path!r} twice"
        )


def _classified(feature, classes, head_convolutions, width, exit):
    width = width or min(feature.shape[-1], _WIDEST)
    for index in range(head_convolutions):
        feature = convolutions.conv_bn_relu(
            feature, width, 3, strides=2, name=f"exit_{exit}_{index}"
        )
    return convolutions.linear_classifier(feature, classes, exit)


def _new_end(last, end, classes, exit):
    """Returns the logits of a new classifier at the end of the model."""
    if end.is_classifier:
        if not isinstance(end.layer, keras.layers.Dense):
            raise ValueError(
                f"`model` must end in a classifier of {classes} classes, in a "
                "Dense layer that can be left out, or in features. Received: "
                f"{end.path!r}, which gives {end.shape}"
            )
        last = functional.producer(last).input_tensors[0]
    if len(last.shape) == 4:
        return convolutions.linear_classifier(last, classes, exit)
    if len(last.shape) != 2:
        raise ValueError(
            "`model` must end in logits, in a vector of features, or in a map "
            f"[batch, height, width, channels]. Received: {end.path!r}, which "
            f"gives {end.shape}"
        )
    dense = keras.layers.Dense(classes, dtype="float32", name=f"exit_{exit}")
    return dense(last)
