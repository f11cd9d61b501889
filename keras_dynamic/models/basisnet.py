"""Builds BasisNet: a small network shapes the kernels of a larger one.

Zhang et al. 2021, "BasisNet: Two-stage Model Synthesis for Efficient
Inference", arXiv 2105.03014. A lightweight model previews the image at a low
resolution. It gives a prediction, exit 0, and the coefficients with which the
kernels of a specialist are combined; that gives exit 1. Both train jointly.

Only the abstract could be read, and there is no code of the authors. Which
backbones and sizes, how many bases, which convolutions are dynamic, and how
scores become coefficients are therefore parameters, and their defaults ours.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_dynamic.graph import functional
from keras_dynamic.layers import (
    BasisCoefficients,
    BasisConv2D,
    BasisDepthwiseConv2D,
    BilinearResize,
)
from keras_dynamic.models.blocks import arguments
from keras_dynamic.models.mobilenet_v2 import mobilenet_v2
from keras_dynamic.models.mobilenet_v3 import mobilenet_v3
from keras_dynamic.models.resnet import resnet

BACKBONES: Mapping[str, Callable[..., keras.Model]] = {
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "resnet": resnet,
}
# Per convolution: what takes its place, and the arguments that they share.
_DYNAMIC = {
    keras.layers.Conv2D: (
        BasisConv2D,
        ("filters", "kernel_initializer"),
    ),
    keras.layers.DepthwiseConv2D: (
        BasisDepthwiseConv2D,
        ("depthwise_initializer",),
    ),
}
_SPECIALIST = {"family": "mobilenet_v3", "size": "small", "downsampling": 8}
_PREVIEW = {**_SPECIALIST, "width": 0.5}
_SHARED = ("name", "dtype", "kernel_size", "strides", "padding", "use_bias")
_SHARED += ("bias_initializer",)


def basisnet(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    preview: Mapping[str, Any] = _PREVIEW,
    preview_size: int = 24,
    specialist: Mapping[str, Any] = _SPECIALIST,
    bases: int = 8,
    static: Sequence[str] = ("stem", "squeeze", "depthwise"),
    per_layer: bool = True,
    activation: str = "softmax",
    temperature: float = 1.0,
    blend_steps: int = 0,
    dropout: float = 0.0,
    name: str = "basisnet",
) -> keras.Model:
    """Builds a BasisNet as a functional model with two exits.

    Layers of the preview are named `preview_...`, those of the specialist as
    in its family; but what makes up the classifiers, `exit_0...` and
    `exit_1...`. The layer `basis_scores` gives the scores of all dynamic
    convolutions, `basis_coefficients` the coefficients.

    The default backbones and sizes are those of `basisnet_cifar10`, a
    MobileNetV3-Small previewed by one of half its width.

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; the exits give logits [batch, classes].
        preview: The backbone of stage one: its "family", one of `BACKBONES`,
            and the arguments of that family but `input_shape` and `classes`.
        preview_size: Height and width that stage one sees, in pixels.
        specialist: The backbone of stage two, like `preview`.
        bases: Kernels of each dynamic convolution. With one there is nothing
            to combine, and the specialist is its plain backbone.
        static: Parts of the names (between underscores) of convolutions that
            keep one kernel. Combining costs `bases` times what a convolution
            does in one place of its map. So squeeze-and-excite, which has one
            place, is left out, and the stem, with so few weights that there
            is little to adapt. Depthwise convolutions hold an eighth of
            MobileNetV3-Small's other kernels, and one whose filter is computed
            at run time leaves XNNPACK, where the others can stay
            (docs/decisions.md). The classifier is never dynamic.
        per_layer: Whether each dynamic convolution has coefficients of its
            own; otherwise one vector serves them all.
        activation: "softmax" or "sigmoid", which makes coefficients of scores.
        temperature: Number that the scores are divided by.
        blend_steps: Training steps until the coefficients are the network's.
        dropout: Probability of a basis to be left out in training.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not as said.
    """
    arguments.require_positive_integers(bases=bases, preview_size=preview_size)
    channels = input_shape[-1]
    small = (preview_size, preview_size)
    first = _backbone("preview", preview, (*small, channels), classes)
    second = _backbone("specialist", specialist, input_shape, classes)

    inputs = x = keras.Input(shape=input_shape, name="image")
    if tuple(input_shape[:2]) != small:
        x = BilinearResize(*small, name="preview_resize")(x)
    pooled = first.get_layer("exit_0_pool").output
    pooled, logits = functional.follow(
        keras.Model(first.input, [pooled, first.output]),
        [x],
        lambda layer, given: _again(layer, _preview_name(layer.name))(given),
    )
    dynamic = _dynamic_layers(second, static) if bases > 1 else []
    coefficients = {}  # of each dynamic layer
    if dynamic:
        vectors = len(dynamic) if per_layer else 1
        scores = keras.layers.Dense(vectors * bases, name="basis_scores")
        found = BasisCoefficients(
            bases,
            vectors,
            activation=activation,
            temperature=temperature,
            blend_steps=blend_steps,
            dropout=dropout,
            # As for logits: exponentials need the precision.
            dtype="float32",
            name="basis_coefficients",
        )(scores(pooled))
        found = found if per_layer else found * len(dynamic)
        coefficients = dict(zip(dynamic, found, strict=True))

    def call(layer, given):
        if layer.name not in coefficients:
            return _again(layer, _specialist_name(layer.name))(given)
        combined = _with_bases(layer, bases)
        return combined([given, coefficients[layer.name]])

    outputs = [logits, *functional.follow(second, [inputs], call)]
    return keras.Model(inputs, outputs, name=name)


def _backbone(argument, given, input_shape, classes):
    """Builds the plain model, of which only the graph is of use."""
    builder, settings = arguments.backbone(argument, given, BACKBONES)
    own = {"input_shape": input_shape, "classes": classes}
    arguments.require_arguments_of(builder, argument, given, **own)
    with keras.StatelessScope(initialize_variables=False):
        return builder(**own, **settings)


def _dynamic_layers(model, static):
    """Lists the convolutions that get several kernels, by name, in order."""
    names = [
        layer.name
        for layer in model.layers
        if type(layer) in _DYNAMIC
        and not set(layer.name.split("_")) & set(static)
    ]
    if not names:
        raise ValueError(
            "`static` must leave a convolution of the specialist to combine. "
            f"Received: static={tuple(static)}"
        )
    return names


def _preview_name(name):
    return name if functional.exit_of(name) == 0 else f"preview_{name}"


def _specialist_name(name):
    if functional.exit_of(name) == 0:
        return name.replace("exit_0", "exit_1", 1)
    return name


def _again(layer, name):
    """Copies a layer under another name, with weights of its own."""
    return type(layer).from_config(layer.get_config() | {"name": name})


def _with_bases(layer, bases):
    """Copies a convolution, with several kernels."""
    kind, own = _DYNAMIC[type(layer)]
    config = layer.get_config()
    return kind.from_config(
        {key: config[key] for key in (*own, *_SHARED)} | {"bases": bases}
    )
