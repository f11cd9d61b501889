"""Rewrites activations: those without an int8 form as sums and products."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_dynamic.normal_form.rewrite import Rewrite, refuse
from keras_dynamic.normal_form.site import Site

# Of the SELU, Klambauer et al. 2017, arXiv 1706.02515.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def activate(site: Site, function: Any, x: Any, part: str = "") -> Any:
    """Applies an activation of Keras with its default arguments.

    Args:
        site: Where.
        function: It, as a layer holds it.
        x: A tensor or an `Affine`.
        part: As in `Site.add`.
    """
    name = name_of(function)
    if name not in _ACTIVATIONS:
        raise refuse(
            f"its activation {name!r} has no int8 form in TFLite",
            f"use one of {', '.join(NAMES)}, or a layer behind it",
        )
    return _ACTIVATIONS[name](site, x, part)


def name_of(function: Any) -> str:
    """Returns an activation's name in Keras, or that of a function."""
    if function is None:
        return "linear"
    name = getattr(function, "__name__", type(function).__name__)
    if function is getattr(keras.ops, "gelu", None):
        return "approximate_gelu"  # Its default differs from the activation's.
    known = (
        getattr(keras.activations, name, None),
        getattr(keras.ops, name, None),
    )
    return name if any(function is each for each in known) else f"custom {name}"


def is_softmax(function: Any) -> bool:
    """Tells whether an activation is a softmax, or the logarithm of one."""
    return name_of(function) in ("softmax", "log_softmax")


def _plain(name: str) -> Callable:
    def apply(site, x, part=""):
        return site.add(keras.layers.Activation, x, part=part, activation=name)

    return apply


def relu(site: Site, x: Any, part: str = "", max_value: float | None = None):
    """Clips at 0, and above at a number if there is one."""
    if max_value is None:
        return _plain("relu")(site, x, part)
    return site.add(keras.layers.ReLU, x, part=part, max_value=float(max_value))


def clip(
    site: Site, x: Any, part: str, low: float | None, high: float | None
) -> Any:
    """Clips at numbers; None for no limit."""
    if low is not None and high is not None:
        if high <= low:
            raise refuse(
                f"it clips to [{low}, {high}]", "let the second be larger"
            )
        y = site.affine(x, 1, -low, part=_inner(part, "from"))
        y = relu(site, y, _inner(part, "clip"), high - low)
        return site.affine(y, 1, low, part=part)
    if low is not None:
        y = site.affine(x, 1, -low, part=_inner(part, "from"))
        y = relu(site, y, _inner(part, "relu"))
        return site.affine(y, 1, low, part=part)
    if high is not None:
        y = site.affine(x, -1, high, part=_inner(part, "from"))
        y = relu(site, y, _inner(part, "relu"))
        return site.affine(y, -1, high, part=part)
    return x


def leaky(site: Site, x: Any, part: str = "", slope: float = 0.2) -> Any:
    """Multiplies what is negative by a slope."""
    return site.add(
        keras.layers.LeakyReLU, x, part=part, negative_slope=float(slope)
    )


def _elu(site, x, part="", alpha=1.0, scale=1.0):
    """Applies scale * elu(x), by the one with alpha 1 and the ReLU."""
    if alpha == scale == 1:
        return _plain("elu")(site, x, part)
    bent = _plain("elu")(site, x, _inner(part, "elu"))
    if alpha == 1:
        return site.affine(bent, scale, part=part)
    straight = relu(site, x, _inner(part, "relu"))
    bent = site.affine(bent, scale * alpha, part=_inner(part, "bent"))
    straight = site.affine(
        straight, scale * (1 - alpha), part=_inner(part, "straight")
    )
    return site.add(keras.layers.Add, [bent, straight], part=part)


def _times(name: str) -> Callable:
    """Returns how x times an activation of x is rewritten."""

    def apply(site, x, part=""):
        factor = _plain(name)(site, x, _inner(part, name))
        return site.add(keras.layers.Multiply, [x, factor], part=part)

    return apply


def gelu(site: Site, x: Any, part: str = "", approximate: bool = False) -> Any:
    """Applies the GELU; the approximate one as x times a sigmoid."""
    if not approximate:
        return _plain("gelu")(site, x, part)
    # x / 2 * (1 + tanh(u)) = x * sigmoid(2 u), u = sqrt(2/pi) (x + 0.0447 x^3)
    factor = 2 * math.sqrt(2 / math.pi)
    square = site.add(
        keras.layers.Multiply, [x, x], part=_inner(part, "square")
    )
    slope = site.affine(
        square, factor * 0.044715, factor, part=_inner(part, "slope")
    )
    inner = site.add(
        keras.layers.Multiply, [x, slope], part=_inner(part, "inner")
    )
    share = _plain("sigmoid")(site, inner, _inner(part, "sigmoid"))
    return site.add(keras.layers.Multiply, [x, share], part=part)


def _tanh_shrink(site, x, part=""):
    bent = _plain("tanh")(site, x, _inner(part, "tanh"))
    return site.add(keras.layers.Subtract, [x, bent], part=part)


def _linear(site, x, part=""):
    return x


_ACTIVATIONS: dict[str, Callable] = {
    "approximate_gelu": lambda site, x, part="": gelu(site, x, part, True),
    "celu": _elu,
    "elu": _elu,
    "gelu": gelu,
    "hard_sigmoid": _plain("hard_sigmoid"),
    "hard_silu": _times("hard_sigmoid"),
    "hard_swish": _times("hard_sigmoid"),
    "hard_tanh": lambda site, x, part="": clip(site, x, part, -1.0, 1.0),
    "leaky_relu": leaky,
    "linear": _linear,
    "relu": relu,
    "relu6": lambda site, x, part="": relu(site, x, part, 6.0),
    "selu": lambda site, x, part="": _elu(
        site, x, part, _SELU_ALPHA, _SELU_SCALE
    ),
    "sigmoid": _plain("sigmoid"),
    "silu": _times("sigmoid"),
    "softmax": _plain("softmax"),
    "swish": _times("sigmoid"),
    "tanh": _plain("tanh"),
    "tanh_shrink": _tanh_shrink,
}


NAMES = tuple(sorted(set(_ACTIVATIONS) - {"approximate_gelu"}))
"""Names the activations of Keras that have a normal form."""


def _inner(part: str, what: str) -> str:
    return f"{part}_{what}" if part else what


def _activation(site: Site) -> Any:
    return activate(site, site.operation.activation, site.x)


def _relu(site: Site) -> Any:
    """Rewrites a ReLU with any slope and limit."""
    given, x = site.operation, site.x
    slope, most = float(given.negative_slope), given.max_value
    if float(given.threshold):
        raise refuse(
            "it has a threshold, at which it jumps", "leave `threshold` at 0"
        )
    if not slope:
        if isinstance(given, keras.layers.Layer):
            return site.keep()
        return relu(site, x, "", most)
    if most is None:
        return leaky(site, x, "", slope)
    bent = leaky(site, x, "leaky", slope)
    return clip(site, bent, "", None, float(most))


def _prelu(site: Site) -> Any:
    """Rewrites a PReLU: relu(x) - alpha * relu(-x)."""
    alpha = np.asarray(site.operation.alpha)
    positive = relu(site, site.x, "positive")
    negative = site.affine(site.x, -1, part="minus")
    negative = relu(site, negative, "negative")
    bent = site.affine(
        negative, -alpha, part="slope", trainable=site.operation.trainable
    )
    return site.add(keras.layers.Add, [positive, bent])


def _softmax(site: Site) -> Any:
    axis, axes = site.operation.axis, len(site.x.shape)
    if axis not in (-1, axes - 1) or len(site.inputs) > 1:
        raise refuse(
            "it is a softmax with a mask or over another axis than the last",
            "let it go over the last axis, without a mask",
        )
    return _plain("softmax")(site, site.x)


def _simple(name: str, operation: str) -> Rewrite:
    return Rewrite(
        operations=(operation,),
        apply=lambda site: _ACTIVATIONS[name](site, site.x),
    )


REWRITES = (
    Rewrite(layers=(keras.layers.Activation,), apply=_activation),
    Rewrite(layers=(keras.layers.ReLU,), operations=("ReLU",), apply=_relu),
    Rewrite(
        layers=(keras.layers.LeakyReLU,),
        operations=("LeakyRelu",),
        apply=lambda site: leaky(
            site, site.x, "", site.operation.negative_slope
        ),
    ),
    Rewrite(
        layers=(keras.layers.ELU,),
        operations=("Elu", "Celu"),
        apply=lambda site: _elu_of(site),
    ),
    Rewrite(layers=(keras.layers.PReLU,), apply=_prelu),
    Rewrite(
        layers=(keras.layers.Softmax,), operations=("Softmax",), apply=_softmax
    ),
    Rewrite(
        operations=("Gelu",),
        apply=lambda site: gelu(site, site.x, "", site.operation.approximate),
    ),
    _simple("hard_sigmoid", "HardSigmoid"),
    _simple("hard_silu", "HardSilu"),
    _simple("hard_tanh", "HardTanh"),
    _simple("relu", "Relu"),
    _simple("relu6", "Relu6"),
    _simple("selu", "Selu"),
    _simple("sigmoid", "Sigmoid"),
    _simple("silu", "Silu"),
    _simple("tanh", "Tanh"),
    _simple("tanh_shrink", "TanhShrink"),
)


def _elu_of(site: Site) -> Any:
    alpha = float(site.operation.alpha)
    if type(site.operation).__name__ == "Celu" and alpha != 1:
        raise refuse("it is a CELU with an alpha of its own", "let it be 1")
    return _elu(site, site.x, "", alpha)
