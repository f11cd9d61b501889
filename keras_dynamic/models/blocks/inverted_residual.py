"""Builds the block that MobileNetV2 and MobileNetV3 consist of."""

import functools
import math
from collections.abc import Callable, Sequence

import keras

from keras_dynamic.models.blocks import convolutions

# By how much both networks divide the sides of an image.
DOWNSAMPLINGS = (1, 2, 4, 8, 16, 32)


def inverted_branch(
    x: keras.KerasTensor,
    filters: int,
    *,
    inner: int,
    kernel_size: int,
    strides: int,
    activation: str,
    squeeze: bool = False,
    widen: bool = True,
    name: str,
    scale: Callable[[keras.KerasTensor], keras.KerasTensor] | None = None,
) -> keras.KerasTensor:
    """Widens 1x1, convolves each channel by itself, narrows 1x1 linearly.

    Args:
        x: Feature map.
        filters: Channels of the output.
        inner: Channels in between.
        kernel_size: Kernel size of the depthwise convolution.
        strides: Strides of the depthwise convolution.
        activation: "relu", "relu6" or "hard_swish", after the first two
            convolutions.
        squeeze: Whether `squeeze_excite` follows the depthwise convolution.
        widen: Whether there is the first convolution.
        name: Beginning of the layers' names.
        scale: Function that changes the map before it is narrowed.
    """
    if widen:
        x = convolutions.conv_bn(x, inner, 1, name=f"{name}_expand")
        x = activate(x, activation, name=f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        # Each output depends on one channel.
        depthwise_initializer=convolutions.conv_initializer(1, kernel_size),
        name=f"{name}_depthwise_conv",
    )(x)
    x = convolutions.batch_norm(x, name=f"{name}_depthwise")
    x = activate(x, activation, name=f"{name}_depthwise")
    if squeeze:
        x = squeeze_excite(x, rounded(inner / 4), name=f"{name}_squeeze")
    if scale:
        x = scale(x)
    return convolutions.conv_bn(x, filters, 1, name=f"{name}_project")


def inverted_residual(
    x: keras.KerasTensor,
    filters: int,
    *,
    expanded: int,
    kernel_size: int,
    strides: int,
    activation: str,
    squeeze: bool = False,
    branch: Callable[..., keras.KerasTensor] = inverted_branch,
    name: str,
) -> keras.KerasTensor:
    """Runs an `inverted_branch`, and adds its input where both have one shape.

    Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    CVPR 2018, arXiv 1801.04381, section 3.3. As in the authors' code, a block
    that does not widen has no first convolution.

    Args:
        x: Feature map.
        filters: Channels of the output.
        expanded: Channels in between.
        kernel_size: Kernel size of the depthwise convolution.
        strides: Strides of the depthwise convolution.
        activation: "relu", "relu6" or "hard_swish", after the first two
            convolutions.
        squeeze: Whether `squeeze_excite` follows the depthwise convolution.
        branch: Function that stands for `inverted_branch` in a block that
            widens and has a shortcut.
        name: Beginning of the layers' names.
    """
    widen = expanded != x.shape[-1]
    has_shortcut = strides == 1 and x.shape[-1] == filters
    if not (widen and has_shortcut):
        branch = functools.partial(inverted_branch, widen=widen)
    y = branch(
        x,
        filters,
        inner=expanded,
        kernel_size=kernel_size,
        strides=strides,
        activation=activation,
        squeeze=squeeze,
        name=name,
    )
    return keras.layers.Add(name=f"{name}_add")([y, x]) if has_shortcut else y


def squeeze_excite(
    x: keras.KerasTensor, filters: int, *, name: str
) -> keras.KerasTensor:
    """Weighs each channel by a number that all of the map decides on.

    The number comes from the mean, a 1x1 convolution to `filters`, ReLU, a 1x1
    convolution back and the hard sigmoid, as in MobileNetV3 (Howard et al.
    2019, section 5.3).
    """
    channels = x.shape[-1]
    y = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(
        x
    )
    y = keras.layers.Conv2D(
        filters,
        1,
        kernel_initializer=convolutions.conv_initializer(filters, 1),
        name=f"{name}_reduce_conv",
    )(y)
    y = keras.layers.ReLU(name=f"{name}_reduce_relu")(y)
    y = keras.layers.Conv2D(
        channels,
        1,
        kernel_initializer=convolutions.conv_initializer(channels, 1),
        name=f"{name}_excite_conv",
    )(y)
    y = keras.layers.Activation("hard_sigmoid", name=f"{name}_excite_gate")(y)
    return keras.layers.Multiply(name=f"{name}_multiply")([x, y])


def activate(
    x: keras.KerasTensor, activation: str, *, name: str
) -> keras.KerasTensor:
    """Applies "relu", "relu6" or "hard_swish".

    The hard swish is x * hard_sigmoid(x) in two layers: TFLite has an operator
    for all of it, but XNNPACK does not take that in int8. It takes these.
    """
    if activation == "hard_swish":
        gate = keras.layers.Activation("hard_sigmoid", name=f"{name}_gate")(x)
        return keras.layers.Multiply(name=f"{name}_swish")([x, gate])
    limit = 6.0 if activation == "relu6" else None
    return keras.layers.ReLU(max_value=limit, name=f"{name}_relu")(x)


def rounded(channels: float, multiple: int = 8) -> int:
    """Rounds to the nearest multiple of 8 not below 0.9 times `channels`.

    The authors' code rounds widths so. The result is one `multiple` at least.

    Args:
        channels: A number of channels, before it is rounded.
        multiple: What it shall be a multiple of, if not of 8.
    """
    nearest = int(channels + multiple / 2) // multiple * multiple
    nearest = max(multiple, nearest)
    return nearest + multiple if nearest < 0.9 * channels else nearest


def strides_for(downsampling: int, strides: Sequence[int]) -> list[int]:
    """Turns as many of the first strides of 2 to 1 as `downsampling` wants.

    Args:
        downsampling: The wanted product of strides, one of `DOWNSAMPLINGS`.
        strides: The paper's strides, stem first; their product is 32.
    """
    surplus = int(math.log2(DOWNSAMPLINGS[-1] // downsampling))
    twos = [place for place, stride in enumerate(strides) if stride == 2]
    return [
        1 if place in twos[:surplus] else stride
        for place, stride in enumerate(strides)
    ]
