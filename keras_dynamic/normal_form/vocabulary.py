"""Lists the layers that a model in normal form may have.

`keras_dynamic.normal_form.normalize.of` returns a functional model of these
classes alone, all of them float32, channels last, and called once each. What
quantizes a model in normal form needs to know these and no others.

Two rules hold for all of them. A weighted layer has no activation of its own:
that is a layer behind it. A `BatchNormalization` stands only behind a `Conv2D`
or `DepthwiseConv2D` whose one reader it is; elsewhere the model has a 1x1
`DepthwiseConv2D` in its place.
"""

import dataclasses
import types
from collections.abc import Collection, Mapping
from typing import Any, Literal

import keras

from keras_dynamic import layers
from keras_dynamic.graph import functional

Scale = Literal["own", "kept", "shared", "fixed", "folded"]
"""Says where the int8 scale of an output comes from.

"own": the range of the output's values. "kept": the scale of the input, as
TFLite's operator copies numbers. "shared": one scale for all inputs and the
output. "fixed": the operator prescribes it. "folded": there is no such tensor,
as the converter folds the layer into the one before it.
"""

ACTIVATIONS = (
    "relu",
    "sigmoid",
    "hard_sigmoid",
    "tanh",
    "gelu",
    "elu",
    "softmax",
)
"""Names the functions that an `Activation` layer may have.

Those with arguments have the defaults of `keras.activations`: `gelu` is the
exact one (with erf), `elu` has alpha 1, `softmax` goes over the last axis.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Term:
    """Describes a class of layers that a model in normal form may have.

    Attributes:
        layer: The class; a subclass is another term.
        meaning: What it computes, in a sentence.
        operators: The operators of TFLite that it becomes in int8.
        scale: Where the scale of its output comes from.
        weights: Its weights, in the order of `layer.weights`, without those
            that its arguments leave out.
        arguments: Values that an argument in `get_config()` may have; those
            that are not named here are free.
        inputs: How many inputs it may have; None for any number from 1.
        ranks: How many axes an input may have, that of the batch among them;
            empty for any number.
        behind: Classes of which one must be before it, with no other reader;
            empty for any.
    """

    layer: type[keras.layers.Layer]
    meaning: str
    operators: tuple[str, ...]
    scale: Scale
    weights: tuple[str, ...] = ()
    arguments: Mapping[str, tuple] = dataclasses.field(default_factory=dict)
    inputs: int | None = 1
    ranks: tuple[int, ...] = ()
    behind: tuple[type[keras.layers.Layer], ...] = ()

    def __post_init__(self):
        object.__setattr__(
            self, "arguments", types.MappingProxyType(dict(self.arguments))
        )


_LINEAR = {"activation": ("linear",), "data_format": ("channels_last",)}
_LAST = {"data_format": ("channels_last",)}

_TERMS = (
    Term(
        layer=keras.layers.Conv2D,
        meaning="Convolves, with strides, dilation or groups; no activation.",
        operators=("CONV_2D",),
        scale="own",
        weights=("kernel", "bias"),
        arguments=_LINEAR,
        ranks=(4,),
    ),
    Term(
        layer=keras.layers.DepthwiseConv2D,
        meaning=(
            "Convolves each channel; with a 1x1 kernel it is also any number "
            "times a channel plus any other: constants, preprocessing, a lone "
            "batch normalization."
        ),
        operators=("DEPTHWISE_CONV_2D",),
        scale="own",
        weights=("kernel", "bias"),
        arguments=_LINEAR,
        ranks=(4,),
    ),
    Term(
        layer=keras.layers.Conv2DTranspose,
        meaning="Convolves with fractional strides; no activation.",
        operators=("TRANSPOSE_CONV",),
        scale="own",
        weights=("kernel", "bias"),
        arguments={**_LINEAR, "dilation_rate": ((1, 1),)},
        ranks=(4,),
    ),
    Term(
        layer=keras.layers.Dense,
        meaning=(
            "Multiplies a vector by a matrix; on maps it is a 1x1 `Conv2D`."
        ),
        operators=("FULLY_CONNECTED",),
        scale="own",
        weights=("kernel", "bias"),
        arguments={"activation": ("linear",)},
        ranks=(2,),
    ),
    Term(
        layer=keras.layers.BatchNormalization,
        meaning="Normalizes the channels that a convolution gives.",
        operators=(),
        scale="folded",
        weights=("gamma", "beta", "moving_mean", "moving_variance"),
        arguments={"axis": (-1,)},
        behind=(keras.layers.Conv2D, keras.layers.DepthwiseConv2D),
    ),
    Term(
        layer=keras.layers.LayerNormalization,
        meaning=(
            "Normalizes over the last axis: (x - mean) / sqrt(variance + "
            "epsilon) * gamma + beta."
        ),
        operators=("MEAN", "SUB", "MUL", "RSQRT", "ADD"),
        scale="own",
        weights=("gamma", "beta"),
        arguments={"axis": (-1, (-1,)), "rms_scaling": (False,)},
    ),
    Term(
        layer=keras.layers.Activation,
        meaning=f"Applies one of {', '.join(ACTIVATIONS)} to each number.",
        operators=("RELU", "LOGISTIC", "TANH", "GELU", "ELU", "SOFTMAX"),
        scale="own",
        arguments={"activation": ACTIVATIONS},
    ),
    Term(
        layer=keras.layers.ReLU,
        meaning="Clips below at 0, and above at `max_value` if there is one.",
        operators=("RELU", "RELU6", "MINIMUM"),
        scale="own",
        arguments={"negative_slope": (0.0,), "threshold": (0.0,)},
    ),
    Term(
        layer=keras.layers.LeakyReLU,
        meaning="Multiplies what is negative by `negative_slope`.",
        operators=("LEAKY_RELU",),
        scale="own",
    ),
    Term(
        layer=keras.layers.Add,
        meaning="Adds two tensors, of which one may be broadcast.",
        operators=("ADD",),
        scale="own",
        inputs=2,
    ),
    Term(
        layer=keras.layers.Subtract,
        meaning="Subtracts the second tensor from the first.",
        operators=("SUB",),
        scale="own",
        inputs=2,
    ),
    Term(
        layer=keras.layers.Multiply,
        meaning="Multiplies two tensors, of which one may be broadcast.",
        operators=("MUL",),
        scale="own",
        inputs=2,
    ),
    Term(
        layer=keras.layers.Concatenate,
        meaning="Concatenates tensors along one axis, not that of the batch.",
        operators=("CONCATENATION",),
        scale="shared",
        inputs=None,
    ),
    Term(
        layer=keras.layers.MaxPooling2D,
        meaning=(
            "Takes the largest number of each window; 1x1 with strides it "
            "takes every n-th."
        ),
        operators=("MAX_POOL_2D",),
        scale="kept",
        arguments=_LAST,
        ranks=(4,),
    ),
    Term(
        layer=keras.layers.AveragePooling2D,
        meaning="Averages each window; its padding does not count.",
        operators=("AVERAGE_POOL_2D",),
        scale="kept",
        arguments=_LAST,
        ranks=(4,),
    ),
    Term(
        layer=keras.layers.GlobalAveragePooling2D,
        meaning="Averages over height and width.",
        operators=("MEAN",),
        scale="own",
        arguments=_LAST,
        ranks=(4,),
    ),
    Term(
        layer=keras.layers.Flatten,
        meaning="Makes a vector of all axes but the batch's.",
        operators=("RESHAPE",),
        scale="kept",
        arguments=_LAST,
    ),
    Term(
        layer=keras.layers.Reshape,
        meaning="Gives another shape, with the numbers in the same order.",
        operators=("RESHAPE",),
        scale="kept",
    ),
    Term(
        layer=keras.layers.Permute,
        meaning="Transposes the axes but the batch's.",
        operators=("TRANSPOSE",),
        scale="kept",
    ),
    Term(
        layer=keras.layers.ZeroPadding2D,
        meaning="Pads height and width with zeros.",
        operators=("PAD",),
        scale="kept",
        arguments=_LAST,
        ranks=(4,),
    ),
    Term(
        layer=keras.layers.Cropping2D,
        meaning="Crops height and width.",
        operators=("STRIDED_SLICE",),
        scale="kept",
        arguments=_LAST,
        ranks=(4,),
    ),
    Term(
        layer=keras.layers.UpSampling2D,
        meaning="Repeats rows and columns.",
        operators=("RESIZE_NEAREST_NEIGHBOR",),
        scale="kept",
        arguments={**_LAST, "interpolation": ("nearest",)},
        ranks=(4,),
    ),
    Term(
        layer=layers.BilinearResize,
        meaning="Resizes bilinearly, with half-pixel centres.",
        operators=("RESIZE_BILINEAR",),
        scale="kept",
        ranks=(4,),
    ),
    Term(
        layer=layers.Bias,
        meaning="Adds a learned number to each channel.",
        operators=("ADD",),
        scale="own",
        weights=("bias",),
    ),
    Term(
        layer=layers.Multiple,
        meaning="Multiplies by one positive number, fixed or learned.",
        operators=("MUL",),
        scale="own",
        weights=("log_ratio",),
    ),
    Term(
        layer=layers.Score,
        meaning="Scores a gate: a 1x1 convolution, its `plain()` on a device.",
        operators=("CONV_2D",),
        scale="own",
        weights=("kernel", "bias", "moving_mean", "moving_variance"),
        arguments=_LINEAR,
        ranks=(4,),
    ),
    Term(
        layer=layers.Preference,
        meaning="Scores a choice: a dense layer, its `plain()` on a device.",
        operators=("FULLY_CONNECTED",),
        scale="own",
        ranks=(2,),
    ),
    Term(
        layer=layers.Gate,
        meaning="Clamps a score to [0, 1]; the last input of a `Multiply`.",
        operators=(),
        scale="fixed",
    ),
    Term(
        layer=layers.GradientScale,
        meaning="Scales the gradient alone; nothing on a device.",
        operators=(),
        scale="kept",
    ),
    Term(
        layer=layers.BasisCoefficients,
        meaning="Turns scores into vectors of coefficients, a list of them.",
        operators=("RESHAPE", "SOFTMAX", "LOGISTIC"),
        scale="fixed",
    ),
    Term(
        layer=layers.BasisConv2D,
        meaning="Convolves with a kernel combined per image.",
        operators=("FULLY_CONNECTED", "CONV_2D"),
        scale="own",
        weights=("kernel", "bias"),
        inputs=2,
    ),
)

VOCABULARY: Mapping[type[keras.layers.Layer], Term] = types.MappingProxyType(
    {term.layer: term for term in _TERMS}
)
"""Gives the term of each class that a model in normal form may have."""


def strays(model: keras.Model, *, keep: Collection[str] = ()) -> list[str]:
    """Lists what keeps a functional model from being in normal form.

    Args:
        model: The model.
        keep: Names of layers that may be of any class.

    Returns:
        Sentences, each with a layer's name; none if it is in normal form.
    """
    graph = functional.flattened(model)
    calls, readers = graph.calls, functional.readers(graph)
    found = []
    for call in calls:
        if call.operation.name in keep:
            continue
        where = f"{call.operation.name!r} of {type(call.operation).__name__}"
        found += [f"{where} {what}" for what in _strays(call, readers)]
    names = [call.operation.name for call in calls]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            found.append(f"{name!r} is called {names.count(name)} times")
        if name.startswith("_"):
            found.append(f"{name!r} begins with an underscore")
    return found


def _strays(call: functional.Call, readers: Mapping) -> list[str]:
    """Lists what is wrong with one call."""
    term = VOCABULARY.get(type(call.operation))
    if term is None:
        return ["is not in the vocabulary"]
    found = []
    if len(call.within):
        found.append(f"is inside of the model {call.within[-1]!r}")
    config = call.operation.get_config()
    for name, allowed in term.arguments.items():
        if _plain(config.get(name)) not in allowed:
            found.append(f"has {name}={config.get(name)!r}")
    given = call.inputs
    if term.inputs is not None and len(given) != term.inputs:
        found.append(f"has {len(given)} inputs")
    if term.ranks and any(len(each.shape) not in term.ranks for each in given):
        found.append(f"has an input of {len(given[0].shape)} axes")
    if term.behind:
        before = given[0].call
        if before is None or type(before.operation) not in term.behind:
            found.append("has no convolution before it")
        elif readers[given[0]] != 1:
            found.append("is not the only reader of its convolution")
    return found


def _plain(value: Any) -> Any:
    """Returns an argument as it is written in the table."""
    return tuple(value) if isinstance(value, list) else value
