"""Builds a network of `keras.applications`, with exits."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_dynamic.models.attach_exits import attach_exits
from keras_dynamic.models.blocks import arguments


def applications(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    network: str = "MobileNetV2",
    weights: str | None = None,
    at: int | Sequence[str] = (),
    head: str = "dense",
    head_width: int | None = None,
    options: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> keras.Model:
    """Builds a network of `keras.applications`, and attaches exits.

    Its own classifier is left out. A first layer brings [0, 1] to what the
    network was trained on; where that is blue before green before red, the
    kernel of its first convolution is turned round instead of the image.

    Args:
        input_shape: Height, width and 3 channels of the input, float32 in
            [0, 1].
        classes: Number of classes; every exit gives logits [batch, classes].
        network: Name in `keras.applications`, such as "MobileNetV2".
        weights: "imagenet", which Keras downloads; the path of a file of the
            network without its top; None for weights at random.
        at: Where exits are attached before the last one, and
        head: what they consist of, and
        head_width: how wide that is: as in `attach_exits`.
        options: Further arguments of the network, such as {"alpha": 0.5}.
        name: Name of the model; None for that of the network.

    Raises:
        ValueError: If an argument is not as said, or Keras refuses it.
    """
    builders = networks()
    arguments.require_one_of(tuple(builders), network=network)
    if input_shape[-1] != 3:
        raise ValueError(
            "`input_shape` must have 3 channels for `applications`. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    builder = builders[network]
    options = dict(options or {})
    taken = inspect.signature(builder).parameters
    if unknown := [each for each in options if each not in taken]:
        raise ValueError(
            f"`options` must be arguments of {network}: {', '.join(taken)}. "
            f"Received: {unknown}"
        )
    scale, offset, turned = _expected(builder)
    image = keras.Input(shape=tuple(input_shape), name="image")
    backbone = builder(
        input_tensor=_brought(image, scale, offset),
        input_shape=tuple(input_shape),
        include_top=False,
        weights=weights,
        **options,
    )
    if turned and weights is not None:
        _turn_round(backbone)
    return attach_exits(
        backbone,
        at,
        classes=classes,
        head=head,
        head_width=head_width,
        name=name,
    )


def networks() -> dict[str, Callable[..., keras.Model]]:
    """Returns the functions of `keras.applications` by name."""
    return {
        name: each
        for name, each in vars(keras.applications).items()
        if inspect.isfunction(each)
    }


def _expected(builder):
    """Returns scale and offset per channel, and whether BGR is expected.

    Keras has a function beside each network which makes its input of 0 to 255;
    it is a factor and an offset per channel.
    """
    preprocess = sys.modules[builder.__module__].preprocess_input
    black = np.zeros((1, 1, 1, 3), np.float32)
    offset = preprocess(black.copy())[0, 0, 0]
    # Row i: what a pixel adds that is 255 in channel i and else 0.
    scale = np.stack(
        [
            preprocess(black + 255 * one)[0, 0, 0] - offset
            for one in np.eye(3, dtype=np.float32)
        ]
    )
    turned = bool(scale[0, 2])
    if turned:
        return scale[:, ::-1].diagonal(), offset[::-1], True
    return scale.diagonal(), offset, False


def _brought(image, scale, offset):
    """Brings [0, 1] to what a network expects, by a layer."""
    if len({*scale}) == len({*offset}) == 1:
        return keras.layers.Rescaling(
            float(scale[0]), float(offset[0]), name="rescale"
        )(image)
    return keras.layers.Normalization(
        mean=(-offset / scale).tolist(),
        variance=(1 / scale**2).tolist(),
        name="normalize",
    )(image)


def _turn_round(backbone):
    """Lets the first convolution read RGB where it was trained on BGR."""
    first = next(
        layer
        for layer in backbone.layers
        if isinstance(layer, keras.layers.Conv2D)
    )
    kernel, *others = first.get_weights()
    first.set_weights([kernel[:, :, ::-1], *others])
