"""Keras 3 to tf_keras: the same functional graph for tfmot to quantize.

tfmot knows only the legacy Keras. A trained Keras 3 functional model is read
as a list of layers and calls, each layer is made again in `tf_keras`, called
along the same connections, and given the same weights.
"""

import keras
import numpy as np
import tf_keras

from keras_dynamic import graph, layers
from tflite import counterparts, hard_sigmoid

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


class UnsupportedLayerError(ValueError):
    """A layer of the model has no counterpart that tfmot can quantize."""


def to_tf_keras(model: keras.Model) -> tf_keras.Model:
    """Translates a Keras 3 functional model into a tf_keras one.

    `GradientScale` is left out: it changes nothing outside of training. So is
    `Progress`, but for its second output where that is one of the model's.

    Args:
        model: A functional model whose layers are all in `SUPPORTED`.

    Returns:
        A `tf_keras.Model` with the same layer names, weights, inputs and
        outputs, float32 throughout; a frozen layer is frozen there too.

    Raises:
        UnsupportedLayerError: If the graph has another kind of layer, or one
            with an argument that the legacy layer cannot express.
    """
    legacy = {}

    def call(layer, inputs):
        if isinstance(layer, layers.GradientScale):
            return inputs
        if isinstance(layer, layers.Progress):
            return [inputs, counterparts.Progress(name=layer.name)(inputs)]
        if layer.name not in legacy:
            legacy[layer.name] = _legacy_layer(layer)
        return legacy[layer.name](inputs)

    inputs = legacy_inputs(model)
    outputs = graph.follow(model, inputs, call)
    for name, layer in legacy.items():
        ours = model.get_layer(name)
        layer.set_weights([np.asarray(w, np.float32) for w in ours.weights])
        layer.trainable = ours.trainable
    return tf_keras.Model(inputs, outputs, name=model.name)


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


def _legacy_layer(layer):
    kind = type(layer).__name__
    ours = kind in SUPPORTED and type(layer) in (
        getattr(keras.layers, kind, None),
        getattr(layers, kind, None),
    )
    if not ours:
        raise UnsupportedLayerError(
            "`model` may hold only layers that can be quantized: "
            f"{', '.join(sorted(SUPPORTED))}. "
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
