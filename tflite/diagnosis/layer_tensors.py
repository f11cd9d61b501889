"""Finds the tensor of a converted model that holds what a layer gives."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

import keras

from keras_dynamic import layers
from tflite.format import model_file

_WRAPPER = "quant_"  # What tfmot puts before a layer's name.


class LayerTensor(NamedTuple):
    """Names a tensor and its layer.

    Attributes:
        layer: Name of the layer.
        tensor: Name of the tensor.
        index: Its number in the .tflite model.
    """

    layer: str
    tensor: str
    index: int


def layer_tensors(model: bytes, network: keras.Model) -> list[LayerTensor]:
    """Finds the layers of a Keras model in what it was converted to.

    The converter calls a tensor after all operations that it fused into one,
    such as `net/quant_a_relu/Relu;net/quant_a_conv/Conv2D`. The tensor is what
    the last of these layers gives. In int8 a gate has none: it is the range of
    the score before it. Left out are tensors that are called otherwise, or have
    another size than what the layer gives, and layers that are called more than
    once or give several tensors.

    Args:
        model: The .tflite model. Its outputs may be called `exit_0`, `exit_1`,
            ... in its signature.
        network: The functional model that it was made from.

    Returns:
        In the order of the .tflite model's graph.

    Raises:
        flatbuffer.InvalidModel: If `model` is damaged.
    """
    contents = model_file.read(model)
    inside = contents.subgraphs[0]
    # Keras lists a layer after those that it needs.
    order = {
        layer.name: i
        for i, layer in enumerate(network.layers)
        if _gives_one_tensor(layer)
    }
    exits = _exit_layers(contents, network, order)
    found = []
    for operator in inside.operators:
        for index in operator.outputs:
            tensor = inside.tensors[index]
            name = model_file.text(tensor.name)
            layer = exits.get(index) or _last_layer(name, order)
            if layer is None:
                continue
            layer = _gate_after(network.get_layer(layer))
            if _size(layer.output.shape[1:]) == _size(tensor.shape[1:]):
                found.append(LayerTensor(layer.name, name, index))
    return found


def _exit_layers(
    contents, network: keras.Model, order: Mapping[str, int]
) -> dict[int, str]:
    """Names the layers that give the model's outputs, by the tensor's number.

    Their tensors may be called after the call of the whole model.
    """
    layers_of = {
        f"exit_{k}": output._keras_history.operation.name
        for k, output in enumerate(network.outputs)
    }
    return {
        entry.tensorIndex: layers_of[model_file.text(entry.name)]
        for signature in contents.signatureDefs or ()
        for entry in signature.outputs
        if layers_of.get(model_file.text(entry.name)) in order
    }


def _last_layer(tensor: str, order: Mapping[str, int]) -> str | None:
    parts = re.split("[/;:]", tensor)
    found = {part.removeprefix(_WRAPPER) for part in parts} & order.keys()
    return max(found, key=order.get, default=None)


def _gives_one_tensor(layer: keras.Layer) -> bool:
    nodes = layer._inbound_nodes
    return len(nodes) == 1 and len(nodes[0].outputs) == 1


def _gate_after(layer: keras.Layer) -> keras.Layer:
    readers = [node.operation for node in layer._outbound_nodes]
    gated = readers and all(isinstance(each, layers.Gate) for each in readers)
    return readers[0] if gated else layer


def _size(shape) -> int:
    return math.prod(int(extent) for extent in shape)
