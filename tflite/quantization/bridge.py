"""Keras 3 to tf_keras: the same functional graph for tfmot to quantize.

tfmot knows only the legacy Keras. A trained Keras 3 functional model is read
as a list of layers and calls, each layer is made again in `tf_keras`, called
along the same connections, and given the same weights.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tf_keras

from keras_dynamic import layers
from keras_dynamic.graph import functional
from tflite.quantization.layers import basis, counterparts, hard_sigmoid

# Per layer class: the arguments that mean the same in both. What a class here
# leaves out (initialisers, regularisers, dtype policies, arguments that only
# Keras 3 has) plays no part once the weights are there.
SUPPORTED = {
    "Activation": ("activation",),
    "Add": (),
    "AveragePooling2D": ("pool_size", "strides", "padding"),
    "BatchNormalization": (
        "axis",
        "momentum",
        "epsilon",
        "center",
        "scale",
    ),
    "Bias": (),
    "BilinearResize": ("height", "width"),
    "Concatenate": ("axis",),
    "Conv2D": (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "dilation_rate",
        "groups",
        "activation",
        "use_bias",
    ),
    "Dense": ("units", "activation", "use_bias"),
    "DepthwiseConv2D": (
        "kernel_size",
        "strides",
        "padding",
        "depth_multiplier",
        "dilation_rate",
        "activation",
        "use_bias",
    ),
    "Dropout": ("rate",),
    "Flatten": (),
    "Gate": (),
    "GlobalAveragePooling2D": ("keepdims",),
    "MaxPooling2D": ("pool_size", "strides", "padding"),
    "Multiple": ("factor", "learned"),
    "Multiply": (),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Reshape": ("target_shape",),
    "UpSampling2D": ("size", "interpolation"),
    "ZeroPadding2D": ("padding",),
}
# Those that become several layers, and how.
IN_PARTS = {
    layers.BasisCoefficients: basis.coefficients,
    layers.BasisConv2D: basis.convolution,
    layers.Score: basis.score,
}


class UnsupportedLayerError(ValueError):
    """A layer of the model has no counterpart that tfmot can quantize."""


def to_tf_keras(model: keras.Model) -> tf_keras.Model:
    """Translates a Keras 3 functional model into a tf_keras one.

    `GradientScale` is left out: it changes nothing outside of training. Some
    layers become several (see `tflite.quantization.layers.basis`).

    Args:
        model: A functional model whose layers are all in `SUPPORTED` or
            `IN_PARTS`.

    Returns:
        A `tf_keras.Model` with the same layer names, weights, inputs and
        outputs, float32 throughout; a frozen layer is frozen there too.

    Raises:
        UnsupportedLayerError: If the graph has another kind of layer, or one
            with an argument that the legacy layer cannot express.
    """
    made: dict[str, basis.Part] = {}

    def find(part):
        return made.setdefault(part.layer.name, part).layer

    inputs = legacy_inputs(model)
    outputs = follow(model, inputs, find)
    for part in made.values():
        part.layer.set_weights(part.weights)
        part.layer.trainable = part.trainable
    return tf_keras.Model(inputs, outputs, name=model.name)


def follow(
    model: keras.Model,
    inputs: Sequence[Any],
    find: basis.Find,
    scale: Callable[[layers.GradientScale, Any], Any] | None = None,
) -> list:
    """Calls what stands for the layers of a Keras 3 model.

    Args:
        model: The model, as of `to_tf_keras`.
        inputs: What stands for its inputs.
        find: Gives what is called for a legacy layer.
        scale: What stands for the call of a `GradientScale`, if not nothing.

    Returns:
        What that gives for each of its outputs.

    Raises:
        UnsupportedLayerError: As `to_tf_keras`.
    """

    def call(layer, given):
        if isinstance(layer, layers.GradientScale):
            return scale(layer, given) if scale else given
        if type(layer) in IN_PARTS:
            return IN_PARTS[type(layer)](layer, given, find)
        weights = [np.asarray(each, np.float32) for each in layer.weights]
        if isinstance(layer, layers.Gate):
            weights = []  # It counts the steps of training.
        made = _legacy_layer(layer)
        return find(basis.Part(made, weights, layer.trainable))(given)

    return functional.follow(model, inputs, call)


def legacy_inputs(model: keras.Model) -> list:
    """The inputs of a Keras 3 model as tf_keras has them, float32."""
    return [
        tf_keras.Input(
            shape=tensor.shape[1:],
            dtype="float32",
            name=tensor._keras_history.operation.name,
        )
        for tensor in model.inputs
    ]


def _names(kinds):
    return [kind.__name__ for kind in kinds]


def _legacy_layer(layer):
    kind = type(layer).__name__
    if isinstance(layer, layers.BasisDepthwiseConv2D):
        raise UnsupportedLayerError(
            "`model` must not combine the kernels of depthwise convolutions, "
            "for which no form runs in XNNPACK; in `basisnet`, `static` must "
            f"name a part of theirs. Received: layer {layer.name!r} of class "
            f"{kind}"
        )
    ours = kind in SUPPORTED and type(layer) in (
        getattr(keras.layers, kind, None),
        getattr(layers, kind, None),
    )
    if not ours:
        raise UnsupportedLayerError(
            "`model` may hold only layers that can be quantized: "
            f"{', '.join(sorted({*SUPPORTED, *_names(IN_PARTS)}))}. "
            f"Received: layer {layer.name!r} of class {kind}"
        )
    config = layer.get_config()
    if config.get("data_format", "channels_last") != "channels_last":
        raise UnsupportedLayerError(
            "`model` must be in the data format 'channels_last'. "
            f"Received: layer {layer.name!r} with {config['data_format']!r}"
        )
    if config.get("activation") == "hard_sigmoid":
        if kind != "Activation":
            raise UnsupportedLayerError(
                "`model` must have the hard sigmoid as an Activation layer. "
                f"Received: layer {layer.name!r} of class {kind}"
            )
        return hard_sigmoid.HardSigmoid(name=layer.name)
    arguments = {name: config[name] for name in SUPPORTED[kind]}
    # Half-pixel bilinear resizing is what the legacy Resizing does by default.
    legacy = "Resizing" if kind == "BilinearResize" else kind
    home = counterparts if hasattr(counterparts, legacy) else tf_keras.layers
    return getattr(home, legacy)(name=layer.name, **arguments)
