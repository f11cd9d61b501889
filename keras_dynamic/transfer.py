"""Weights from one model to the layers of another, by the layers' names."""

from collections.abc import Iterable

import keras


def copy_weights(
    source: keras.Model, layers: Iterable[keras.layers.Layer]
) -> None:
    """Gives each layer the weights of the layer of its name in `source`.

    Layers without weights are passed over.

    Raises:
        ValueError: If `source` lacks a layer, or one has other shapes. Nothing
            is copied then.
    """
    theirs = {layer.name: layer for layer in source.layers}
    ours = [layer for layer in layers if layer.weights]
    if missing := [layer.name for layer in ours if layer.name not in theirs]:
        raise ValueError(
            "`source` must have a layer of the name of each that takes its "
            f"weights. Received: {source.name!r} without {len(missing)} of "
            f"{len(ours)}, such as {missing[0]!r}"
        )
    for layer in ours:
        shapes = [
            [tuple(weight.shape) for weight in each.weights]
            for each in (layer, theirs[layer.name])
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                "`source` must have weights of the same shapes. "
                f"Received: {layer.name!r} with {shapes[1]} in "
                f"{source.name!r}, not {shapes[0]}"
            )
    for layer in ours:
        layer.set_weights(theirs[layer.name].get_weights())
