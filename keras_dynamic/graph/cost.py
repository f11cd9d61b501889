"""Counts multiply-adds and parameters up to each exit of a functional model.

The cost of exit k is what a forward pass must run to give the logits of the
exits 0 to k: every layer that one of them depends on, counted once per call.
"""

import dataclasses
import math

import keras

from keras_dynamic.graph import functional
from keras_dynamic.layers import BasisConv2D, BasisDepthwiseConv2D


@dataclasses.dataclass(frozen=True)
class ExitCost:
    """Holds the cost of reaching an exit, all exits before it included.

    Attributes:
        exit: Index of the exit.
        madds: Multiply-adds of the convolutions and dense layers, per image;
            combining a kernel from others counts as one per number of each.
        madds_paper: Operations per image by the op counter of the MSDNet and
            RANet code: `madds`, one per ReLU element, one per pooled element,
            and one per bias of a dense layer. Normalisation, concatenation,
            resizing, and sums and products of maps count nothing. And where
            layers are named `block{k}_...`, as MSDNet's, exit k waits for all
            of block k, of which it may need a part: that code evaluates whole
            blocks.
        params: Parameters, moving statistics left out as in that code.
        feature_shape: Height, width and channels of the feature that enters
            the exit's classifier.
    """

    exit: int
    madds: int
    madds_paper: int
    params: int
    feature_shape: tuple[int, ...]


def exit_costs(model: keras.Model) -> tuple[ExitCost, ...]:
    """Counts the cost of every exit of a functional model, shallow to deep.

    Raises:
        ValueError: If `model` is not a functional model, or has an input of
            variable size.
    """
    if not isinstance(model, keras.Model) or not getattr(
        model, "outputs", None
    ):
        raise ValueError(
            "`model` must be a functional keras.Model. "
            f"Received: model={model!r}"
        )
    for tensor in model.inputs:
        if None in tensor.shape[1:]:
            raise ValueError(
                "`model` must have inputs of fixed size. "
                f"Received: {tensor.name!r} of {model.name!r} with shape "
                f"{tuple(tensor.shape)}"
            )
    blocks = functional.blocks(model)
    seen, seen_by_paper = set(), set()
    layers = {}
    madds = paper = 0
    costs = []
    for index, output in enumerate(model.outputs):
        for node in functional.ancestors([output], seen):
            madds += _node_cost(node)[0]
            layers[id(node.operation)] = node.operation
        waited_for = [output, *blocks.get(index, ())]
        for node in functional.ancestors(waited_for, seen_by_paper):
            paper += sum(_node_cost(node))
        params = sum(_parameters(layer) for layer in layers.values())
        shape = tuple(functional.exit_feature(output, index).shape[1:])
        costs.append(ExitCost(index, madds, paper, params, shape))
    return tuple(costs)


def call_madds(node) -> int:
    """Returns the multiply-adds per image of a layer's call, a Keras `Node`."""
    return _node_cost(node)[0]


# Weights that count or average, and are not learned.
_STATISTICS = ("moving_mean", "moving_variance", "seen")


def _parameters(layer):
    # Not `trainable_variables`, which a frozen layer lacks.
    return sum(
        math.prod(weight.shape)
        for weight in getattr(layer, "weights", ())
        if weight.name not in _STATISTICS
    )


def _positions(tensor):
    """Counts the places of a feature map: all axes but batch and channels."""
    return math.prod(tensor.shape[1:-1])


def _elements(tensor):
    return math.prod(tensor.shape[1:])


_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_GLOBAL_POOLS = (
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalMaxPooling3D,
)
_POOLS = (
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.AveragePooling3D,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.MaxPooling3D,
)


def _node_cost(node):
    """Returns a call's multiply-adds, and further operations of the papers."""
    layer = node.operation
    if isinstance(layer, keras.Model):  # a model called as a layer
        inner = exit_costs(layer)[-1]
        return inner.madds, inner.madds_paper - inner.madds
    if not node.input_tensors:
        return 0, 0
    before, after = node.input_tensors[0], node.outputs[0]
    extra = 0
    if isinstance(layer, keras.layers.ReLU) or _is_relu(layer):
        extra += _elements(after)
    # A kernel holds (taps x input channels per group x output channels)
    # numbers, each of them used once at every place.
    if isinstance(layer, _TRANSPOSED):
        return math.prod(layer.kernel.shape) * _positions(before), extra
    if isinstance(layer, _SEPARABLE):
        numbers = math.prod(layer.depthwise_kernel.shape) + math.prod(
            layer.pointwise_kernel.shape
        )
        return numbers * _positions(after), extra
    if isinstance(layer, _CONVOLUTIONS):
        return math.prod(layer.kernel.shape) * _positions(after), extra
    if isinstance(layer, (BasisConv2D, BasisDepthwiseConv2D)):
        bases, *kernel = layer.kernel.shape
        return math.prod(kernel) * (bases + _positions(after)), extra
    if isinstance(layer, keras.layers.Dense):
        places = _positions(after)
        bias = layer.units * places if layer.use_bias else 0
        return math.prod(layer.kernel.shape) * places, extra + bias
    if isinstance(layer, _POOLS):
        return 0, _elements(after) * math.prod(layer.pool_size)
    if isinstance(layer, _GLOBAL_POOLS):
        return 0, _elements(before)
    return 0, extra


def _is_relu(layer):
    return getattr(layer, "activation", None) is keras.activations.relu
