"""Keras 3 to tf_keras: the same functional graph for tfmot to quantize.

tfmot knows only the legacy Keras. A trained Keras 3 functional model is read
as a list of layers and calls, each layer is made again in `tf_keras`, called
along the same connections, and given the same weights.
"""

import keras
import numpy as np
import tf_keras

from keras_dynamic import layers

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
    "GlobalAveragePooling2D": ("keepdims",),
    "MaxPooling2D": ("pool_size", "strides", "padding"),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Reshape": ("target_shape",),
    "UpSampling2D": ("size", "interpolation"),
    "ZeroPadding2D": ("padding",),
}


class UnsupportedLayerError(ValueError):
    """A layer of the model has no counterpart that tfmot can quantize."""


def to_tf_keras(model: keras.Model) -> tf_keras.Model:
    """Translates a Keras 3 functional model into a tf_keras one.

    Args:
        model: A functional model whose layers are all in `SUPPORTED`.

    Returns:
        A `tf_keras.Model` with the same layer names, weights, inputs and
        outputs, float32 throughout.

    Raises:
        UnsupportedLayerError: If the graph has another kind of layer, or one
            with an argument that the legacy layer cannot express.
    """
    tensors = {}
    legacy = {}
    for tensor in model.inputs:
        layer = tensor._keras_history.operation
        tensors[_key(tensor)] = tf_keras.Input(
            shape=tensor.shape[1:], dtype="float32", name=layer.name
        )
    for node in _calls_in_order(model):
        operation = node.operation
        if operation.name not in legacy:
            legacy[operation.name] = _legacy_layer(operation)
        layer = legacy[operation.name]
        inputs = [tensors[_key(tensor)] for tensor in node.input_tensors]
        # Merging layers take a list, the others one tensor.
        output = layer(inputs if len(inputs) > 1 else inputs[0])
        tensors[_key(node.outputs[0])] = output
    for name, layer in legacy.items():
        layer.set_weights(
            [np.asarray(w, np.float32) for w in model.get_layer(name).weights]
        )
    return tf_keras.Model(
        [tensors[_key(tensor)] for tensor in model.inputs],
        [tensors[_key(tensor)] for tensor in model.outputs],
        name=model.name,
    )


def _key(tensor):
    history = tensor._keras_history
    return history.operation.name, history.node_index, history.tensor_index


def _calls_in_order(model):
    """The layer calls of a functional model, each after what it needs."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.input_tensors:
                yield node


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
    arguments = {name: config[name] for name in SUPPORTED[kind]}
    # Half-pixel bilinear resizing is what the legacy Resizing does by default.
    legacy = "Resizing" if kind == "BilinearResize" else kind
    return getattr(tf_keras.layers, legacy)(name=layer.name, **arguments)
