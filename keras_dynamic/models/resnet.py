"""Builds ResNet for small images, a static network: one exit.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv
1512.03385, section 4.2: a 3x3 convolution, then stages of n residual blocks of
two 3x3 convolutions each, 6n + 2 layers with the paper's three stages.

One detail differs from the paper. Where the shape changes, its CIFAR networks
take every second pixel of the shortcut and pad channels with zeros (option A).
Here that is a 1x1 convolution with batch normalization (option B of section
3.3), an operator that phones run in int8. It adds 1 % to the parameters of
ResNet-20, and less to deeper ones.
"""

import functools
from collections.abc import Callable, Sequence

import keras

from keras_dynamic.models.blocks import arguments, convolutions


def resnet(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    blocks: int = 3,
    widths: Sequence[int] = (16, 32, 64),
    zero_init_residual: bool = False,
    name: str = "resnet",
) -> keras.Model:
    """Builds a ResNet as a functional model with the output `exit_0`.

    Layer names carry stage and block (`stage1_block0_first_conv`), from 0.

    The defaults are the paper's ResNet-20 for CIFAR (`resnet_cifar10_20`).

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; the exit gives logits [batch, classes].
        blocks: Residual blocks of each stage, the paper's n: 3 for ResNet-20.
        widths: Channels of each stage. Every stage but the first halves height
            and width.
        zero_init_residual: Whether each block begins as its shortcut: the
            last normalization of its branch starts with the factor 0 (Goyal
            et al., arXiv 1706.02677, section 5.1). Deep networks then learn
            from the first epoch. The paper does not do so.
        name: Name of the model.

    Raises:
        ValueError: If `blocks` or a width is not a positive integer.
    """
    inputs = keras.Input(shape=input_shape, name="image")
    *_, x = resnet_stages(
        inputs,
        blocks=blocks,
        widths=widths,
        zero_init_residual=zero_init_residual,
    )
    logits = convolutions.linear_classifier(x, classes, 0)
    return keras.Model(inputs, logits, name=name)


def residual_branch(
    x: keras.KerasTensor,
    filters: int,
    *,
    inner: int,
    strides: int,
    name: str,
    scale: Callable[[keras.KerasTensor], keras.KerasTensor] | None = None,
    zero_init: bool = False,
) -> keras.KerasTensor:
    """Runs the two 3x3 convolutions that a block adds to its shortcut.

    Args:
        x: Feature map.
        filters: Channels of the output.
        inner: Channels between the convolutions.
        strides: Strides of the first convolution.
        name: Beginning of the layers' names.
        scale: Function that changes the map between the convolutions.
        zero_init: Whether the branch gives 0 at first.
    """
    x = convolutions.conv_bn_relu(
        x, inner, 3, strides=strides, name=f"{name}_first"
    )
    if scale:
        x = scale(x)
    return convolutions.conv_bn(
        x,
        filters,
        3,
        name=f"{name}_second",
        scale="zeros" if zero_init else "ones",
    )


def resnet_stages(
    inputs: keras.KerasTensor,
    *,
    blocks: int,
    widths: Sequence[int] = (16, 32, 64),
    zero_init_residual: bool = False,
    branch: Callable[..., keras.KerasTensor] = residual_branch,
) -> list[keras.KerasTensor]:
    """Returns the feature map at the end of each stage.

    Args:
        inputs: Images.
        blocks: Residual blocks of each stage.
        widths: Channels of each stage. Every stage but the first halves height
            and width.
        zero_init_residual: Whether each block begins as its shortcut.
        branch: Function that stands for `residual_branch` in every block.

    Raises:
        ValueError: If `blocks` or a width is not a positive integer.
    """
    arguments.require_positive_integers(blocks=blocks)
    if not widths:
        raise ValueError(
            "`widths` must hold a positive integer per stage. "
            f"Received: widths={widths!r}"
        )
    for width in widths:
        arguments.require_positive_integers(widths=width)

    x = convolutions.conv_bn_relu(inputs, widths[0], 3, name="stem")
    ends = []
    for stage, width in enumerate(widths):
        for block in range(blocks):
            x = _residual_block(
                x,
                width,
                strides=2 if stage and not block else 1,
                branch=functools.partial(branch, zero_init=zero_init_residual),
                name=f"stage{stage}_block{block}",
            )
        ends.append(x)
    return ends


def _residual_block(x, filters, *, strides, branch, name):
    """Computes relu(shortcut + branch)."""
    shortcut = x
    if strides > 1 or x.shape[-1] != filters:
        shortcut = convolutions.conv_bn(
            x, filters, 1, strides=strides, name=f"{name}_shortcut"
        )
    x = branch(x, filters, inner=filters, strides=strides, name=name)
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu")(x)
