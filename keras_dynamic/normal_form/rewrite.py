"""Describes how a kind of layer or operation is rewritten in the vocabulary."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras


class NoNormalFormError(ValueError):
    """Says what a model has that the vocabulary cannot express."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rewrite:
    """Describes how a kind of layer or operation is rewritten.

    Attributes:
        apply: Takes a `Site`, and returns what stands for the call's result: a
            tensor or an `Affine`, or a list of them if there are several.
        layers: Classes of layers; a subclass is another kind.
        operations: Names of classes of operations of `keras.ops`, or of layers
            that Keras has for its own networks and does not export.
    """

    apply: Callable[..., Any]
    layers: tuple[type[keras.layers.Layer], ...] = ()
    operations: tuple[str, ...] = ()


def refuse(what: str, instead: str) -> NoNormalFormError:
    """Returns the error for a call: what it has, and what to put instead."""
    return NoNormalFormError(f"{what}; {instead}")
