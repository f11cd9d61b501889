"""Copies weights from one model to layers of another, by the layers' names."""

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
        given, wanted = _shapes(theirs[layer.name]), _shapes(layer)
        if given != wanted:
            raise ValueError(
                "`source` must have weights of the same shapes. "
                f"Received: {layer.name!r} with {given} in {source.name!r}, "
                f"not {wanted}"
            )
    for layer in ours:
        layer.set_weights(theirs[layer.name].get_weights())


def fitting(
    source: keras.Model, layers: Iterable[keras.layers.Layer]
) -> list[keras.layers.Layer]:
    """Lists those of `layers` with weights for which `source` has fitting ones.

    Weights fit if they are of a layer of that name, and of the same shapes.
    """
    theirs = {layer.name: _shapes(layer) for layer in source.layers}
    return [
        layer
        for layer in layers
        if layer.weights and theirs.get(layer.name) == _shapes(layer)
    ]


def _shapes(layer: keras.layers.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]
