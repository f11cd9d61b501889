"""Gives a training weights to start from, if not weights at random."""

import keras
from absl import logging

from keras_dynamic.weights import channel_groups, transfer
from keras_dynamic.weights.loading import trained_model


def load(path: str, model: keras.Model) -> None:
    """Gives a model the weights that a trained one has for it.

    A layer takes those of the layer of its name, if the shapes are the same.
    So a network with gates starts from one without, and one for other classes
    from one that saw the same images. Groups of channels take their slices of
    the uncut block's. Layers that stay at random are logged.

    Args:
        path: A .keras file.
        model: The model that is about to be trained.

    Raises:
        ValueError: If there is no such model, or no layer of it fits.
    """
    source = trained_model("train.initial_weights", path)
    known = transfer.fitting(source, model.layers)
    transfer.copy_weights(source, known)
    known += channel_groups.copy_slices(source, model)
    if not known:
        raise ValueError(
            "`train.initial_weights` must have a layer of the name and the "
            f"shapes of one of {model.name!r}. Received: {path!r} with "
            f"{source.name!r}"
        )
    others = [
        layer.name
        for layer in model.layers
        if layer.weights and layer not in known
    ]
    logging.info(
        "%d layers start with the weights of %s, %d at random%s",
        len(known),
        path,
        len(others),
        ": " + ", ".join(others) if others else "",
    )
