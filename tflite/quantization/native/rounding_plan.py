"""Says which tensors of a model get a range, and which weights are rounded.

TFLite has an int8 tensor, with a range of its own, for what an operator gives;
but none between a convolution and the normalisation and ReLU that the
converter folds into it, and none behind an operator that only moves numbers.
"""

import dataclasses
from collections.abc import Mapping

import keras

from keras_dynamic import layers
from keras_dynamic.graph import functional
from tflite.quantization.native import simple_layers, weight_rounding
from tflite.quantization.native.weight_rounding import Rounding

# The ranges that TFLite's kernels prescribe.
_SHARES = (0.0, 255 / 256)
_FIXED = {
    "sigmoid": _SHARES,
    "softmax": _SHARES,
    "tanh": (-1.0, 127 / 128),
}

_ROUNDED: dict[type, Mapping[str, Rounding]] = {
    keras.layers.Conv2D: {"kernel": weight_rounding.by_channel},
    keras.layers.DepthwiseConv2D: {
        "kernel": weight_rounding.by_depthwise_channel
    },
    # The converter transposes these kernels, and loses the axis of scales.
    keras.layers.Conv2DTranspose: {"kernel": weight_rounding.by_tensor},
    keras.layers.Dense: {"kernel": weight_rounding.by_tensor},
    layers.Bias: {"bias": weight_rounding.as_activation},
    simple_layers.ChannelFactor: {"factor": weight_rounding.as_activation},
}

# Operators that move numbers, and whose output has the scale of the input.
_MOVING = (
    keras.layers.AveragePooling2D,
    keras.layers.Cropping2D,
    keras.layers.Flatten,
    keras.layers.MaxPooling2D,
    keras.layers.Permute,
    keras.layers.Reshape,
    keras.layers.ZeroPadding2D,
    layers.BilinearResize,
    simple_layers.NearestResize,
)

# Those of them that also compute: what they give is rounded in that scale.
_ROUNDING = (keras.layers.AveragePooling2D, layers.BilinearResize)

# Layers that a ReLU behind them folds into.
_CLIPPED = (
    keras.layers.Add,
    keras.layers.BatchNormalization,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Dense,
    keras.layers.DepthwiseConv2D,
    keras.layers.Multiply,
    keras.layers.Subtract,
    layers.Bias,
    layers.Multiple,
    simple_layers.ChannelFactor,
    simple_layers.Shift,
)

# Layers that may give the scores of gates.
_SCORING = (keras.layers.Add, keras.layers.Conv2D, keras.layers.Dense)

# Layers that fold into the one before them, or write all that they join in one
# range.
_TAKING = (keras.layers.BatchNormalization, keras.layers.Concatenate)

# Layers that nothing runs for.
_NOTHING = (layers.GradientScale,)


@dataclasses.dataclass(eq=False)
class Call:
    """Describes a call of a layer, and who reads what it gives.

    Attributes:
        layer: The layer; None for an input of the model.
        inputs: The calls that it reads, in order.
        readers: The calls that read it, once for each time.
        exit: Whether it is an exit's output.
    """

    layer: keras.layers.Layer | None
    inputs: list["Call"]
    readers: list["Call"] = dataclasses.field(default_factory=list)
    exit: bool = False

    @property
    def running(self) -> list["Call"]:
        """Lists the readers that an operator runs for."""
        found = []
        for reader in self.readers:
            nothing = isinstance(reader.layer, _NOTHING)
            found += reader.running if nothing else [reader]
        return found

    @property
    def ends(self) -> bool:
        """Tells whether it, or what equals it, is an exit's output."""
        return self.exit or any(
            reader.ends
            for reader in self.readers
            if isinstance(reader.layer, _NOTHING)
        )


@dataclasses.dataclass(frozen=True)
class Range:
    """Says that a tensor has a range.

    Attributes:
        fixed: The range, if nothing is to change it.
    """

    fixed: tuple[float, float] | None = None


def calls(model: keras.Model, exits: int) -> tuple[list[Call], list[Call]]:
    """Reads the graph of a functional model whose layers give one tensor each.

    Args:
        model: The model.
        exits: How many of its outputs are exits; the others are for a loss.

    Returns:
        All calls, each after those that it reads, the first one the input; and
        those that give the outputs.
    """
    found = [Call(None, [])]

    def call(layer, given):
        inputs = given if isinstance(given, list) else [given]
        made = Call(layer, inputs)
        for each in inputs:
            each.readers.append(made)
        found.append(made)
        return made

    outputs = functional.follow(model, found[:], call)
    for each in outputs[:exits]:
        each.exit = True
    return found, outputs


def roundings(layer: keras.layers.Layer) -> Mapping[str, Rounding]:
    """Returns how the weights of a layer are rounded, by their names."""
    return _ROUNDED.get(type(layer), {})


def range_of(call: Call) -> Range | None:
    """Returns the range of what a call gives, or None if it has none."""
    layer = call.layer
    if layer is None:
        return Range((0.0, 1.0))
    if isinstance(layer, (*_MOVING, *_NOTHING)):
        return None
    if isinstance(layer, layers.Gate):
        return Range((0.0, 1.0))
    if fixed := _fixed(layer):
        return Range(fixed)
    if not call.ends and _folded(call):
        return None
    return Range()


def rounds_in_scale_of_input(layer: keras.layers.Layer | None) -> bool:
    """Tells whether an operator rounds what it gives in its input's scale."""
    return isinstance(layer, _ROUNDING)


def has_a_range_for_end(layer: keras.layers.Layer | None) -> bool:
    """Tells whether a ReLU has an upper end that no operator of TFLite has."""
    return isinstance(layer, keras.layers.ReLU) and (
        layer.max_value not in (None, 6)
    )


def _fixed(layer):
    if isinstance(layer, keras.layers.Activation):
        return _FIXED.get(layer.get_config()["activation"])
    if has_a_range_for_end(layer):
        return 0.0, float(layer.max_value)
    return None


def _folded(call: Call) -> bool:
    """Tells whether the range behind a reader is that of this tensor, too."""
    readers = [each.layer for each in call.running]
    if isinstance(call.layer, _SCORING) and _are_gates(readers):
        return True
    if len(readers) != 1:
        return False
    [reader] = readers
    return isinstance(reader, _TAKING) or (
        isinstance(call.layer, _CLIPPED) and _clips(reader)
    )


def _are_gates(readers) -> bool:
    return bool(readers) and all(isinstance(x, layers.Gate) for x in readers)


def _clips(layer) -> bool:
    """Tells whether a layer is a ReLU that other operators have built in."""
    if isinstance(layer, keras.layers.Activation):
        return layer.get_config()["activation"] == "relu"
    return isinstance(layer, keras.layers.ReLU)
