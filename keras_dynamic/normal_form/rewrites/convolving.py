"""Rewrites convolutions and dense layers as linear ones."""

import math
from typing import Any

import keras
import numpy as np

from keras_dynamic.normal_form.affine import Affine
from keras_dynamic.normal_form.rewrite import Rewrite, refuse
from keras_dynamic.normal_form.rewrites import elementwise
from keras_dynamic.normal_form.site import Site


def _convolution(site: Site) -> Any:
    """Rewrites a convolution: linear, with what is before it in its kernel."""
    x, weights, has_bias = _with_preprocessing(site)
    return _activated(
        site,
        lambda part: site.keep(
            x,
            weights=weights,
            part=part,
            activation="linear",
            use_bias=has_bias,
        ),
    )


def _activated(site: Site, linear: Any) -> Any:
    """Puts the activation of a weighted layer behind it, if it has one."""
    function = site.operation.activation
    if elementwise.name_of(function) == "linear":
        return linear("")
    if not site.gives_logits:
        return elementwise.activate(site, function, linear(""), "activation")
    if elementwise.is_softmax(function):
        if len(site.readers) > 1:
            raise refuse(
                "its softmax is that of an exit, and other layers read it, too",
                "make the softmax a layer behind it",
            )
        return linear("")
    # The layer that gives an output has the name of the output.
    return elementwise.activate(site, function, linear("linear"), "")


def _with_preprocessing(site: Site) -> tuple[Any, list[np.ndarray], bool]:
    """Returns input and weights with the constants before them taken in.

    Where the padding is seen a summand cannot be taken in, as the padding is
    with zeros.
    """
    layer, x = site.operation, site.x
    kernel = np.asarray(layer.kernel, np.float64)
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else 0.0
    has_bias = layer.use_bias or _needs_bias(site)
    if isinstance(x, Affine) and x.per_channel and not x.trainable:
        scale, shift = x.channels()
        grouped = getattr(layer, "groups", 1) > 1
        # A transposed convolution sees the edge through fewer numbers.
        exact = not np.any(shift) or (
            not isinstance(layer, keras.layers.Conv2DTranspose)
            and not grouped
            and not _sees_padding(layer)
        )
        if exact and not (grouped and np.ptp(scale)):
            x = x.base
            if np.any(shift):
                has_bias = True
                bias = bias + _response(layer, kernel, shift)
            kernel = kernel * _factor(layer, scale)
    if not has_bias:
        return x, [kernel], False
    outputs = _outputs(layer, kernel)
    return x, [kernel, np.broadcast_to(bias, (outputs,))], True


def _needs_bias(site: Site) -> bool:
    """Tells whether a normalization that folds into the layer needs a bias."""
    folds = isinstance(
        site.operation, (keras.layers.Dense, keras.layers.Conv2DTranspose)
    )
    linear = elementwise.name_of(site.operation.activation) == "linear"
    after = site.next and site.next.operation
    return bool(
        folds
        and linear
        and len(site.x.shape) in (2, 4)
        and isinstance(after, keras.layers.BatchNormalization)
    )


def _sees_padding(layer: Any) -> bool:
    return (
        not isinstance(layer, keras.layers.Dense)
        and layer.padding != "valid"
        and math.prod(layer.kernel_size) > 1
    )


def _outputs(layer: Any, kernel: np.ndarray) -> int:
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return kernel.shape[2] * kernel.shape[3]
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return kernel.shape[2]
    return kernel.shape[-1]


def _factor(layer: Any, scale: np.ndarray) -> np.ndarray:
    """Returns a kernel's factor for that of the input's channels."""
    if getattr(layer, "groups", 1) > 1:
        return scale[0]
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return scale
    return scale[:, None]


def _response(layer: Any, kernel: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Returns the layer's output where each channel is the same number."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return (kernel.sum((0, 1)) * shift[:, None]).reshape(-1)
    if isinstance(layer, keras.layers.Dense):
        return shift @ kernel
    return shift @ kernel.sum((0, 1))


def _conv2d_transpose(site: Site) -> Any:
    layer = site.operation
    if tuple(layer.dilation_rate) != (1, 1) or layer.output_padding is not None:
        raise refuse(
            "it is a transposed convolution with dilation or output padding",
            "leave `dilation_rate` at 1 and `output_padding` at None",
        )
    return _convolution(site)


# What a 1x1 convolution has in common with a dense layer.
_DENSE = (
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
)


def _dense(site: Site) -> Any:
    """Rewrites a dense layer on maps as a 1x1 convolution."""
    shape = tuple(site.x.shape[1:])
    if len(shape) == 1:
        return _convolution(site)
    x, (kernel, *bias), has_bias = _with_preprocessing(site)
    units = kernel.shape[-1]
    arguments = {name: site.config[name] for name in _DENSE}

    def linear(part):
        y = x
        if len(shape) != 3:
            places = math.prod(shape[:-1])
            y = site.add(
                keras.layers.Reshape,
                y,
                part="map",
                target_shape=(places, 1, shape[-1]),
            )
        y = site.weighted(
            keras.layers.Conv2D,
            y,
            [kernel[None, None], *bias],
            part=part,
            filters=units,
            kernel_size=1,
            use_bias=has_bias,
            **arguments,
        )
        if len(shape) != 3:
            y = site.add(
                keras.layers.Reshape,
                y,
                part="back",
                target_shape=(*shape[:-1], units),
            )
        return y

    return _activated(site, linear)


def _separable(site: Site) -> Any:
    """Rewrites a separable convolution as two."""
    layer, config = site.operation, site.config
    depthwise, pointwise, *bias = layer.get_weights()
    shared = ("strides", "padding", "dilation_rate", "depth_multiplier")
    y = site.weighted(
        keras.layers.DepthwiseConv2D,
        site.x,
        [depthwise],
        part="depthwise",
        use_bias=False,
        kernel_size=layer.kernel_size,
        depthwise_regularizer=config["depthwise_regularizer"],
        **{name: config[name] for name in shared},
    )
    return _activated(
        site,
        lambda part: site.weighted(
            keras.layers.Conv2D,
            y,
            [pointwise, *bias],
            part=part,
            filters=layer.filters,
            kernel_size=1,
            use_bias=layer.use_bias,
            kernel_regularizer=config["pointwise_regularizer"],
            bias_regularizer=config["bias_regularizer"],
        ),
    )


REWRITES = (
    Rewrite(
        layers=(keras.layers.Conv2D, keras.layers.DepthwiseConv2D),
        apply=_convolution,
    ),
    Rewrite(layers=(keras.layers.Conv2DTranspose,), apply=_conv2d_transpose),
    Rewrite(layers=(keras.layers.Dense,), apply=_dense),
    Rewrite(layers=(keras.layers.SeparableConv2D,), apply=_separable),
)
