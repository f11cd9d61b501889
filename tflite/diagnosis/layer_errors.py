"""Finds where an int8 model leaves the float model: every layer's error.

An error made early is found in all that follows, so that the largest error is
seldom where the fault is. Here each layer of the float model is given what the
int8 model's layer was given, dequantized: the difference of what both make of
it is the layer's own. Beside it stands the error of the whole way up to there,
from the image on.
"""

import math
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_dynamic.graph import functional
from tflite.diagnosis import layer_tensors
from tflite.diagnosis.activations import Activations
from tflite.diagnosis.layer_error import LayerError
from tflite.diagnosis.layer_tensors import LayerTensor

_BATCH = 4  # All that both models compute for so many images is in memory.


def layer_errors(
    model: bytes, network: keras.Model, images: np.ndarray
) -> list[LayerError]:
    """Compares an int8 model with its float model, layer by layer, on images.

    A layer without a tensor of its own (a convolution before its
    normalisation) is a part of the next one that has one. A tensor that is 0
    for all images in the float model is left out.

    Args:
        model: An int8 model with one input, int8 [1, H, W, C].
        network: The functional model that it was made from.
        images: uint8 [N, H, W, C]; a few dozen tell enough.

    Returns:
        In the order of the int8 model's graph, the image first.

    Raises:
        ValueError: If no tensor is named after a layer, or there are no images.
    """
    found = layer_tensors.layer_tensors(model, network)
    if not found or not len(images):
        raise ValueError(
            "`images` must not be empty, and `network` must be the model that "
            f"`model` was made from. Received: {len(images)} images, and "
            f"{len(found)} tensors named after layers"
        )
    running = Activations(model, [each.index for each in found])
    image, sums = _Sums(), [_Sums() for _ in found]
    for start in range(0, len(images), _BATCH):
        pixels = images[start : start + _BATCH]
        seen = running.image(pixels)
        floats = pixels.astype(np.float32) / 255
        image.add(seen, floats, floats)
        _walk(network, _Both(floats, seen), found, running.of(pixels), sums)
    [entrance] = network.inputs
    name = entrance._keras_history.operation.name
    return [
        LayerError(layer, tensor, *each.errors())
        for (layer, tensor), each in zip(
            [(name, name), *((each.layer, each.tensor) for each in found)],
            [image, *sums],
            strict=True,
        )
        if each.signal
    ]


class _Both(NamedTuple):
    """Holds a value of the float model.

    Attributes:
        total: As it is in the float model.
        own: What its layer makes of what the int8 model gave to it; once that
            is compared, what the int8 model has in its place.
    """

    total: Any
    own: Any


def _walk(
    network: keras.Model,
    image: _Both,
    tensors: list[LayerTensor],
    values: list[np.ndarray],
    sums: list["_Sums"],
) -> None:
    """Goes through the float model once, and adds up the differences."""
    places: dict[str, list[int]] = {}
    for place, each in enumerate(tensors):
        places.setdefault(each.layer, []).append(place)

    def call(layer, inputs):
        given = inputs if isinstance(inputs, list) else [inputs]
        total, own = (
            layer(each if isinstance(inputs, list) else each[0])
            for each in ([x.total for x in given], [x.own for x in given])
        )
        if isinstance(total, list | tuple):
            return [_Both(*each) for each in zip(total, own, strict=True)]
        here = places.get(layer.name, ())
        for place in here:
            sums[place].add(values[place], _array(own), _array(total))
        # Of several the last is read: the copies after the first are there
        # because someone needs another scale.
        return _Both(total, values[here[-1]] if here else own)

    functional.follow(network, [image], call)


def _array(value: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(keras.ops.cast(value, "float32"))


class _Sums:
    """Adds up all numbers of a tensor, in all images."""

    def __init__(self):
        self.signal = self.energy = self.product = 0.0
        self.total = self.own = self.given = 0.0

    def add(self, int8: np.ndarray, own: np.ndarray, total: np.ndarray) -> None:
        """Adds the numbers of some images."""
        int8, own, total = (
            each.ravel().astype(np.float64) for each in (int8, own, total)
        )
        self.own += float(np.sum((int8 - own) ** 2))
        self.given += float(own @ own)
        self.total += float(np.sum((int8 - total) ** 2))
        self.signal += float(total @ total)
        self.energy += float(int8 @ int8)
        self.product += float(int8 @ total)

    def errors(self) -> tuple[float, float, float]:
        """Returns the own error, the total one, and the cosine."""
        return (
            # What a layer makes of zeros is compared with the true signal.
            math.sqrt(self.own / (self.given or self.signal)),
            math.sqrt(self.total / self.signal),
            self.product / math.sqrt(self.signal * self.energy)
            if self.energy
            else 0.0,
        )
