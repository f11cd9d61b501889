"""Builds MobileNetV3, a static network: one exit.

Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv 1905.02244, Tables
1 (Large) and 2 (Small). Where they leave a choice open, it is that of the
authors' code: squeeze-and-excite narrows to a quarter of the expanded
channels, rounded to a multiple of 8, and Small has none behind its last
convolution, though Table 2 ticks that row.

For small images `downsampling` leaves out the first strides. Padding
and batch normalization are those of the other families here, not those of the
authors' code; there is no dropout.
"""

import keras

from keras_dynamic.models.blocks import (
    arguments,
    convolutions,
    inverted_residual,
)

_RELU, _SWISH = False, True

# Kernel, expanded channels, channels, squeeze-and-excite, swish, stride.
_LARGE = (
    (3, 16, 16, False, _RELU, 1),
    (3, 64, 24, False, _RELU, 2),
    (3, 72, 24, False, _RELU, 1),
    (5, 72, 40, True, _RELU, 2),
    (5, 120, 40, True, _RELU, 1),
    (5, 120, 40, True, _RELU, 1),
    (3, 240, 80, False, _SWISH, 2),
    (3, 200, 80, False, _SWISH, 1),
    (3, 184, 80, False, _SWISH, 1),
    (3, 184, 80, False, _SWISH, 1),
    (3, 480, 112, True, _SWISH, 1),
    (3, 672, 112, True, _SWISH, 1),
    (5, 672, 160, True, _SWISH, 2),
    (5, 960, 160, True, _SWISH, 1),
    (5, 960, 160, True, _SWISH, 1),
)
_SMALL = (
    (3, 16, 16, True, _RELU, 2),
    (3, 72, 24, False, _RELU, 2),
    (3, 88, 24, False, _RELU, 1),
    (5, 96, 40, True, _SWISH, 2),
    (5, 240, 40, True, _SWISH, 1),
    (5, 240, 40, True, _SWISH, 1),
    (5, 120, 48, True, _SWISH, 1),
    (5, 144, 48, True, _SWISH, 1),
    (5, 288, 96, True, _SWISH, 2),
    (5, 576, 96, True, _SWISH, 1),
    (5, 576, 96, True, _SWISH, 1),
)
# Blocks, channels of the last convolution and of the hidden dense layer.
_SIZES = {"large": (_LARGE, 960, 1280), "small": (_SMALL, 576, 1024)}
_STEM = 16
_ACTIVATIONS = ("hard_swish", "relu")


def mobilenet_v3(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    size: str = "small",
    width: float = 1.0,
    downsampling: int = 32,
    activation: str = "hard_swish",
    name: str = "mobilenet_v3",
) -> keras.Model:
    """Builds a MobileNetV3 as a functional model with the output `exit_0`.

    Layer names carry the block (`bneck3_expand_conv`), from 0.

    The defaults are the paper's MobileNetV3-Small 1.0, for images of 224 pixels
    (`mobilenet_v3_small_imagenet_w100`); for small ones lower `downsampling`.

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; the exit gives logits [batch, classes].
        size: "large" or "small".
        width: Multiplies all channels, which are then rounded to multiples of
            8; those of the hidden dense layer only if it is above 1.
        downsampling: By how much height and width are divided: 32 in the
            paper. With less, the first strides of 2 become 1; 8 leaves 4x4
            of a 32x32 image, with strides in the last three of five places.
        activation: "hard_swish" as in the paper, or "relu" in its place, which
            spares three operators for each.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not as said.
    """
    arguments.require_one_of(tuple(_SIZES), size=size)
    arguments.require_positive(width=width)
    arguments.require_one_of(
        inverted_residual.DOWNSAMPLINGS, downsampling=downsampling
    )
    arguments.require_one_of(_ACTIVATIONS, activation=activation)
    blocks, top, hidden = _SIZES[size]
    stem_stride, *strides = inverted_residual.strides_for(
        downsampling, [2, *(stride for *_, stride in blocks)]
    )

    def wide(channels):
        return inverted_residual.rounded(width * channels)

    inputs = keras.Input(shape=input_shape, name="image")
    x = convolutions.conv_bn(
        inputs, wide(_STEM), 3, strides=stem_stride, name="stem"
    )
    x = inverted_residual.activate(x, activation, name="stem")
    before = _STEM
    for block, (kernel, expanded, channels, squeeze, swish, _) in enumerate(
        blocks
    ):
        x = inverted_residual.inverted_residual(
            x,
            wide(channels),
            # In the proportion of the table to what there is, rounded.
            expanded=inverted_residual.rounded(x.shape[-1] * expanded / before),
            kernel_size=kernel,
            strides=strides[block],
            activation=activation if swish else "relu",
            squeeze=squeeze,
            name=f"bneck{block}",
        )
        before = channels
    x = convolutions.conv_bn(x, wide(top), 1, name="top")
    x = inverted_residual.activate(x, activation, name="top")
    x = keras.layers.GlobalAveragePooling2D(name="exit_0_pool")(x)
    x = keras.layers.Dense(
        inverted_residual.rounded(max(1.0, width) * hidden),
        name="exit_0_hidden",
    )(x)
    x = inverted_residual.activate(x, activation, name="exit_0_hidden")
    # Logits stay float32 under mixed precision, so that the loss does too.
    logits = keras.layers.Dense(classes, dtype="float32", name="exit_0")(x)
    return keras.Model(inputs, logits, name=name)
