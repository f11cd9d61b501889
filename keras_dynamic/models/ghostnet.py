"""Builds GhostNet: half of each map comes from cheap depthwise convolutions.

Han et al., "GhostNet: More Features from Cheap Operations", CVPR 2020, arXiv
1911.11907, Table 1, with C-Ghost modules (section 3.1) in inverted bottlenecks
(3.2). Where they leave a choice open, it is that of the authors' code: channels
are multiples of 4, squeeze-and-excite narrows to a quarter, the shortcut of a
block that changes the shape is a depthwise and a 1x1 convolution.

For small images `downsampling` leaves out the first strides. Padding and batch
normalization are those of the other families here; there is no dropout.
"""

from collections.abc import Sequence

import keras

from keras_dynamic.models.attach_exits import attach_exits
from keras_dynamic.models.blocks import (
    arguments,
    convolutions,
    inverted_residual,
)

# Kernel, expanded channels, channels, squeeze-and-excite, stride.
_BLOCKS = (
    (3, 16, 16, False, 1),
    (3, 48, 24, False, 2),
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
)
_STEM, _TOP, _HIDDEN, _MULTIPLE = 16, 960, 1280, 4


def ghostnet(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: float = 1.0,
    downsampling: int = 32,
    at: int | Sequence[str] = (),
    head: str = "dense",
    head_width: int | None = None,
    name: str = "ghostnet",
) -> keras.Model:
    """Builds a GhostNet as a functional model.

    Layer names carry the block (`ghost3_expand_primary_conv`), from 0; the end
    of block 3 is `ghost3_add`.

    The defaults are the paper's GhostNet 1.0 with one exit, for images of 224
    pixels (`ghostnet_imagenet_w100`); for small ones lower `downsampling`.

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; every exit gives logits [batch, classes].
        width: Multiplies all channels, which are then rounded to multiples of
            4, but not those of the hidden dense layer.
        downsampling: By how much height and width are divided: 32 in the
            paper. With less, the first strides of 2 become 1.
        at: Where exits are attached before the last one, and
        head: what they consist of, and
        head_width: how wide that is: as in `attach_exits`.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not as said.
    """
    arguments.require_positive(width=width)
    arguments.require_one_of(
        inverted_residual.DOWNSAMPLINGS, downsampling=downsampling
    )
    network = _network(input_shape, classes, width, downsampling)
    return attach_exits(
        network,
        at,
        classes=classes,
        head=head,
        head_width=head_width,
        name=name,
    )


def ghost_module(
    x: keras.KerasTensor, filters: int, *, relu: bool, name: str
) -> keras.KerasTensor:
    """Computes half of the channels 1x1, and the other half from that half.

    Each channel of the other half is a 3x3 convolution of one of the first
    (section 3.1, with the ratio 2). Batch normalization follows both.

    Args:
        x: Feature map.
        filters: Channels of the output, an even number.
        relu: Whether ReLU follows both, too.
        name: Beginning of the layers' names.
    """
    primary = convolutions.conv_bn(x, filters // 2, 1, name=f"{name}_primary")
    if relu:
        primary = keras.layers.ReLU(name=f"{name}_primary_relu")(primary)
    cheap = _depthwise(primary, 3, 1, name=f"{name}_cheap")
    if relu:
        cheap = keras.layers.ReLU(name=f"{name}_cheap_relu")(cheap)
    return keras.layers.Concatenate(name=f"{name}_concat")([primary, cheap])


def _network(input_shape, classes, width, downsampling):
    """Builds the network with one exit."""
    stem_stride, *strides = inverted_residual.strides_for(
        downsampling, [2, *(stride for *_, stride in _BLOCKS)]
    )

    def wide(channels):
        return inverted_residual.rounded(width * channels, _MULTIPLE)

    inputs = keras.Input(shape=input_shape, name="image")
    x = convolutions.conv_bn_relu(
        inputs, wide(_STEM), 3, strides=stem_stride, name="stem"
    )
    for block, (kernel, expanded, channels, squeeze, _) in enumerate(_BLOCKS):
        x = _bottleneck(
            x,
            wide(channels),
            expanded=wide(expanded),
            kernel_size=kernel,
            strides=strides[block],
            squeeze=squeeze,
            name=f"ghost{block}",
        )
    x = convolutions.conv_bn_relu(x, wide(_TOP), 1, name="top")
    x = keras.layers.GlobalAveragePooling2D(name="exit_0_pool")(x)
    x = keras.layers.Dense(_HIDDEN, name="exit_0_hidden")(x)
    x = keras.layers.ReLU(name="exit_0_hidden_relu")(x)
    # Logits stay float32 under mixed precision, so that the loss does too.
    logits = keras.layers.Dense(classes, dtype="float32", name="exit_0")(x)
    return keras.Model(inputs, logits)


def _bottleneck(x, filters, *, expanded, kernel_size, strides, squeeze, name):
    """Widens and narrows by ghost modules, and adds the shortcut."""
    y = ghost_module(x, expanded, relu=True, name=f"{name}_expand")
    if strides > 1:
        y = _depthwise(y, kernel_size, strides, name=f"{name}_depthwise")
    if squeeze:
        y = inverted_residual.squeeze_excite(
            y,
            inverted_residual.rounded(expanded / 4, _MULTIPLE),
            name=f"{name}_squeeze",
        )
    y = ghost_module(y, filters, relu=False, name=f"{name}_project")
    if strides > 1 or x.shape[-1] != filters:
        x = _depthwise(
            x, kernel_size, strides, name=f"{name}_shortcut_depthwise"
        )
        x = convolutions.conv_bn(x, filters, 1, name=f"{name}_shortcut")
    return keras.layers.Add(name=f"{name}_add")([y, x])


def _depthwise(x, kernel_size, strides, *, name):
    x = keras.layers.DepthwiseConv2D(
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        # Each output depends on one channel.
        depthwise_initializer=convolutions.conv_initializer(1, kernel_size),
        name=f"{name}_conv",
    )(x)
    return convolutions.batch_norm(x, name=name)
