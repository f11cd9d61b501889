"""Writes the inference graph of a model of either Keras as a SavedModel."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def save(
    model: Any, path: str | os.PathLike, shape: Sequence[int] | None = None
) -> None:
    """Writes a SavedModel, for one image at a time.

    Its signature has the input `image`, float32 [1, height, width, channels]
    in [0, 1], and one output `exit_k` per exit. Only the graph and its
    variables are written: Keras would trace each layer again, which takes
    minutes for hundreds of them.

    Args:
        model: A model of either Keras, of one output or several.
        path: Directory, new or empty.
        shape: Height, width and channels of an image, where the model does not
            tell by its inputs.
    """
    module = tf.Module()
    # Those of Keras 3 hold one of TensorFlow each.
    module.kept = [getattr(each, "_value", each) for each in model.variables]
    module.serve = serving(model, shape)
    tf.saved_model.save(
        module, os.fspath(path), signatures={"serving_default": module.serve}
    )


def serving(model: Any, shape: Sequence[int] | None = None) -> Callable:
    """Returns the inference graph as a `tf.function` of `save`'s signature."""
    if shape is None:
        shape = model.inputs[0].shape[1:]

    @tf.function(input_signature=[tf.TensorSpec((1, *shape), name="image")])
    def serve(image):
        logits = tf.nest.flatten(model(image, training=False))
        return {f"exit_{k}": values for k, values in enumerate(logits)}

    return serve
