"""Finds what gives the logits of a model from outside, and names it `exit_k`.

A classifier of a user's ends as its author likes: in logits or in a softmax, in
a layer of its own or as an activation, perhaps inside of a nested model. Here
an exit is the layer of its logits, `exit_k`.
"""

import dataclasses
from typing import Any

import keras

from keras_dynamic.graph import functional, inlining


@dataclasses.dataclass(frozen=True)
class Ending:
    """Describes what stands at an output of a model.

    Attributes:
        path: Path of the layer that gives the logits, or the features.
        layer: That layer.
        softmax: Whether probabilities are made of them, by the layer itself or
            by one behind it.
        shape: Shape of the logits, probabilities or features of an image.
    """

    path: str
    layer: Any
    softmax: bool
    shape: tuple[int | None, ...]

    @property
    def is_classifier(self) -> bool:
        """Tells whether this is a classifier, or else features."""
        return self.softmax or isinstance(self.layer, keras.layers.Dense)


def ending(model: keras.Model, index: int) -> Ending:
    """Finds what stands at an output of a functional model.

    Args:
        model: A functional or built Sequential model.
        index: Index of the output.

    Raises:
        ValueError: If the output is neither logits, probabilities nor
            features.
    """
    return _ending(model, model.outputs[index], "", softmax=False)


def logits_layer(found: Ending, name: str) -> keras.layers.Layer:
    """Copies the layer of the logits under another name, without a softmax."""
    if _activation(found.layer) == "softmax":
        return inlining.without_activation(found.layer, name)
    return inlining.renamed(found.layer, name)


def _ending(model, tensor, prefix, *, softmax):
    node = functional.producer(tensor)
    layer = node.operation
    if functional.graph_of(layer):
        inner = layer.outputs[tensor._keras_history.tensor_index]
        return _ending(layer, inner, f"{prefix}{layer.name}/", softmax=softmax)
    path = prefix + layer.name
    if node.is_input:
        raise ValueError(
            "`model` must have outputs that a layer gives. "
            f"Received: output {path!r}, an input of {model.name!r}"
        )
    activation = _activation(layer)
    if activation == "softmax" and not layer.weights:
        return _ending(model, node.input_tensors[0], prefix, softmax=True)
    if activation not in (None, "linear", "softmax") and softmax:
        raise _not_logits(path, activation)
    if activation == "sigmoid" and isinstance(layer, keras.layers.Dense):
        raise _not_logits(path, activation)
    return Ending(
        path,
        layer,
        softmax or activation == "softmax",
        tuple(tensor.shape[1:]),
    )


def _not_logits(path, activation):
    return ValueError(
        "`model` must end in logits, one per class, or in a softmax of them. "
        f"Received: layer {path!r} with the activation {activation!r}; take "
        "it away"
    )


def _activation(layer):
    """Returns the name of a layer's activation; None if it has none."""
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", None)
