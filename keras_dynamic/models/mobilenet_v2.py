"""Builds MobileNetV2, a static network: one exit.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR
2018, arXiv 1801.04381, Table 2.

For small images `downsampling` leaves out the first strides. Padding
and batch normalization are those of the other families here, not those of the
authors' code: "same", momentum 0.9.
"""

from collections.abc import Callable

import keras

from keras_dynamic.models.blocks import (
    arguments,
    convolutions,
    inverted_residual,
)

# Expansion, channels, blocks, stride of the first block.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM, _TOP = 32, 1280


def mobilenet_v2(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: float = 1.0,
    downsampling: int = 32,
    name: str = "mobilenet_v2",
) -> keras.Model:
    """Builds a MobileNetV2 as a functional model with the output `exit_0`.

    Layer names carry stage and block (`stage1_block0_expand_conv`), from 0.

    The defaults are the paper's MobileNetV2 1.0, for images of 224 pixels
    (`mobilenet_v2_imagenet_w100`); for small ones lower `downsampling`.

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; the exit gives logits [batch, classes].
        width: Multiplies all channels, which are then rounded to multiples of
            8; those before the classifier only if it is above 1.
        downsampling: By how much height and width are divided: 32 in the
            paper. With less, the first strides of 2 become 1; 8 leaves 4x4
            of a 32x32 image, without strides in the stem and in stage 1.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not as said.
    """
    inputs = keras.Input(shape=input_shape, name="image")
    *_, x = mobilenet_v2_stages(inputs, width=width, downsampling=downsampling)
    logits = convolutions.linear_classifier(x, classes, 0)
    return keras.Model(inputs, logits, name=name)


def mobilenet_v2_stages(
    inputs: keras.KerasTensor,
    *,
    width: float = 1.0,
    downsampling: int = 32,
    branch: Callable[
        ..., keras.KerasTensor
    ] = inverted_residual.inverted_branch,
) -> list[keras.KerasTensor]:
    """Returns the feature map at the end of each stage.

    The last one is that after the 1x1 convolution before the classifier.

    Args:
        inputs: Images.
        width: Multiplies all channels, which are then rounded to multiples of
            8; those before the classifier only if it is above 1.
        downsampling: By how much height and width are divided; with less than
            32, the first strides of 2 become 1.
        branch: Function that stands for `inverted_branch` in a block that
            widens and has a shortcut.

    Raises:
        ValueError: If `width` or `downsampling` is not as said.
    """
    arguments.require_positive(width=width)
    arguments.require_one_of(
        inverted_residual.DOWNSAMPLINGS, downsampling=downsampling
    )
    stem_stride, *strides = inverted_residual.strides_for(
        downsampling, [2, *(stride for _, _, _, stride in _STAGES)]
    )

    x = convolutions.conv_bn(
        inputs,
        inverted_residual.rounded(width * _STEM),
        3,
        strides=stem_stride,
        name="stem",
    )
    x = inverted_residual.activate(x, "relu6", name="stem")
    ends = []
    for stage, (expansion, channels, blocks, _) in enumerate(_STAGES):
        for block in range(blocks):
            x = inverted_residual.inverted_residual(
                x,
                inverted_residual.rounded(width * channels),
                expanded=expansion * x.shape[-1],
                kernel_size=3,
                strides=1 if block else strides[stage],
                activation="relu6",
                branch=branch,
                name=f"stage{stage}_block{block}",
            )
        ends.append(x)
    x = convolutions.conv_bn(
        x, inverted_residual.rounded(max(1.0, width) * _TOP), 1, name="top"
    )
    ends[-1] = inverted_residual.activate(x, "relu6", name="top")
    return ends
