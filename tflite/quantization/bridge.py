"""Makes the graph of a Keras 3 model again in tf_keras, for tfmot to quantize.

tfmot knows only the legacy Keras. A trained Keras 3 functional model is read
as a list of layers and calls, each layer is made again in `tf_keras`, called
along the same connections, and given the same weights.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tf_keras

from keras_dynamic.graph import functional
from keras_dynamic.layers import (
    BasisCoefficients,
    BasisDepthwiseConv2D,
    GradientScale,
)
from tflite.quantization import layers
from tflite.quantization.quantizable import (
    Find,
    Part,
    Quantizable,
)
from tflite.quantization.unsupported_layer import UnsupportedLayerError


def to_tf_keras(model: keras.Model) -> tf_keras.Model:
    """Translates a Keras 3 functional model into a tf_keras one.

    Args:
        model: A functional model whose layers are all in `layers.registry`.

    Returns:
        A `tf_keras.Model` with the same layer names, weights, inputs and
        outputs, float32 throughout; a frozen layer is frozen there too. Some
        layers become several, and `GradientScale` none.

    Raises:
        UnsupportedLayerError: If the graph has another kind of layer, or one
            with an argument that the legacy layer cannot express.
    """
    made: dict[str, Part] = {}

    def find(part):
        return made.setdefault(part.layer.name, part).layer

    inputs = legacy_inputs(model)
    outputs = follow(model, inputs, find)
    for part in made.values():
        part.layer.set_weights(part.weights)
        part.layer.trainable = part.trainable
    return tf_keras.Model(inputs, outputs, name=model.name)


def takes(model: keras.Model) -> bool:
    """Tells whether a functional model needs no normal form for the bridge.

    Each layer is then of a known class, is called once, and has no activation
    whose range tfmot would take from the wrong side.
    """
    if not hasattr(model, "_nodes_by_depth"):
        return False
    known = layers.registry()
    called = [
        node.operation
        for nodes in model._nodes_by_depth.values()
        for node in nodes
        if node.input_tensors
    ]
    return len(set(map(id, called))) == len(called) and all(
        type(each) in known and _has_its_range(each) for each in called
    )


def _has_its_range(layer) -> bool:
    """Tells whether tfmot finds the range of what a layer gives."""
    config = layer.get_config()
    activation = config.get("activation")
    if isinstance(layer, keras.layers.Activation):
        return activation in ("relu", "hard_sigmoid")
    if isinstance(layer, BasisCoefficients):
        return True
    return activation in (None, "linear", "relu") and not config.get(
        "negative_slope"
    )


def follow(
    model: keras.Model,
    inputs: Sequence[Any],
    find: Find,
    scale: Callable[[GradientScale, Any], Any] | None = None,
) -> list:
    """Calls the legacy layers that stand for the layers of a Keras 3 model.

    Args:
        model: A functional model whose layers are all in `layers.registry`.
        inputs: Legacy tensors that stand for its inputs.
        find: Gives the layer to call for a part.
        scale: Stands for the call of a `GradientScale`; None leaves it out.

    Returns:
        The legacy tensor for each of its outputs.

    Raises:
        UnsupportedLayerError: As `to_tf_keras`.
    """

    def call(layer, given):
        if scale and isinstance(layer, GradientScale):
            return scale(layer, given)
        return _quantizable(layer).call(layer, given, find)

    return functional.follow(model, inputs, call)


def legacy_inputs(model: keras.Model) -> list:
    """Returns the inputs of a Keras 3 model as inputs of tf_keras, float32."""
    return [
        tf_keras.Input(
            shape=tensor.shape[1:],
            dtype="float32",
            name=tensor._keras_history.operation.name,
        )
        for tensor in model.inputs
    ]


def _quantizable(layer: keras.layers.Layer) -> Quantizable:
    """Returns the `Quantizable` of a layer's class, if the layer is allowed."""
    kind = type(layer).__name__
    if isinstance(layer, BasisDepthwiseConv2D):
        raise UnsupportedLayerError(
            "`model` must not combine the kernels of depthwise convolutions, "
            "for which no form runs in XNNPACK; in `basisnet`, `static` must "
            f"name a part of theirs. Received: layer {layer.name!r} of class "
            f"{kind}"
        )
    known = layers.registry()
    if type(layer) not in known:
        names = sorted(each.__name__ for each in known)
        raise UnsupportedLayerError(
            "`model` may hold only layers that can be quantized: "
            f"{', '.join(names)}; the method 'keras' takes more. "
            f"Received: layer {layer.name!r} of class {kind}"
        )
    config = layer.get_config()
    if config.get("data_format", "channels_last") != "channels_last":
        raise UnsupportedLayerError(
            "`model` must be in the data format 'channels_last'. "
            f"Received: layer {layer.name!r} with {config['data_format']!r}"
        )
    # The legacy one has another slope.
    if kind != "Activation" and config.get("activation") == "hard_sigmoid":
        raise UnsupportedLayerError(
            "`model` must have the hard sigmoid as an Activation layer. "
            f"Received: layer {layer.name!r} of class {kind}"
        )
    return known[type(layer)]
