"""Builds G-Ghost RegNet: half of each stage is made from the stage's beginning.

Han et al., "GhostNets on Heterogeneous Devices via Cheap Operations", IJCV
2022, arXiv 2201.03297, section 4 (G-Ghost), on RegNetX (Radosavovic et al.,
"Designing Network Design Spaces", CVPR 2020). Sizes and the grouping of the raw
half, three quarters as wide, are those of the authors' code.

A stage's first block is whole. One half of its channels goes through the blocks
that follow, at half their width; the other half is one 1x1 convolution of the
first block, to which the means of all blocks are added (mix, section 4.2). A
last block joins both. Stages of one or two blocks have no halves.

Two things are computed in another order than the authors', with the same
numbers: the first block has convolutions of their own for its two halves, in
the place of one that is cut, and means are taken before they are joined.
"""

import functools
from collections.abc import Sequence

import keras

from keras_dynamic.models.attach_exits import attach_exits
from keras_dynamic.models.blocks import arguments, convolutions

_STEM = 32
# XNNPACK joins so many tensors at most, in one operator.
_JOINED = 4


def ghost_regnet(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    depths: Sequence[int] = (2, 6, 15, 2),
    widths: Sequence[int] = (96, 192, 432, 1008),
    group_width: int = 48,
    stem_strides: int = 2,
    at: int | Sequence[str] = (),
    head: str = "dense",
    head_width: int | None = None,
    name: str = "ghost_regnet",
) -> keras.Model:
    """Builds a G-Ghost RegNet as a functional model.

    Layer names carry stage and block (`stage2_block1_reduce_conv`), from 0; the
    end of a stage is the `_relu` of its last block.

    The defaults are the G-Ghost RegNetX-3.2GF, for images of 224 pixels
    (`ghost_regnet_imagenet_032`).

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; every exit gives logits [batch, classes].
        depths: Blocks of each stage. One of three or more has two halves.
        widths: Channels of each stage, multiples of `group_width` or below it;
            every stage halves height and width.
        group_width: Channels of each group of the 3x3 convolutions.
        stem_strides: Strides of the first convolution, 1 or 2.
        at: Where exits are attached before the last one, and
        head: what they consist of, and
        head_width: how wide that is: as in `attach_exits`.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not as said.
    """
    arguments.require_positive_integers_per(
        "stage", depths=depths, widths=widths
    )
    arguments.require_positive_integers(group_width=group_width)
    arguments.require_one_of((1, 2), stem_strides=stem_strides)
    _check_widths(depths, widths, group_width)
    inputs = keras.Input(shape=input_shape, name="image")
    x = convolutions.conv_bn_relu(
        inputs, _STEM, 3, strides=stem_strides, name="stem"
    )
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        build = _halved_stage if depth > 2 else _whole_stage
        x = build(x, width, depth, group_width, name=f"stage{stage}")
    network = keras.Model(inputs, convolutions.linear_classifier(x, classes, 0))
    return attach_exits(
        network,
        at,
        classes=classes,
        head=head,
        head_width=head_width,
        name=name,
    )


def _check_widths(depths, widths, group_width):
    for depth, width in zip(depths, widths, strict=True):
        if width % min(width, group_width):
            raise ValueError(
                "`widths` must be multiples of `group_width`, or below it. "
                f"Received: {width}, group_width={group_width}"
            )
        if depth > 2 and not _raw_width(width, group_width)[0]:
            raise ValueError(
                "`widths` must have a group in the half of a stage of three "
                "blocks or more: half of a width at least three quarters of "
                f"`group_width`. Received: {width}, group_width={group_width}"
            )


def _raw_width(width, group_width):
    """Returns the channels of the half with blocks, and those of a group."""
    group = max(1, int(group_width * 0.75))
    return width // 2 // group * group, group


def _whole_stage(x, width, depth, group_width, *, name):
    for block in range(depth):
        x = _block(
            x,
            width,
            group_width,
            1 if block else 2,
            name=f"{name}_block{block}",
        )
    return x


def _halved_stage(x, width, depth, group_width, *, name):
    raw_width, raw_group = _raw_width(width, group_width)
    cheap_width = width - raw_width
    first = f"{name}_block0"
    inner = _inner(x, width, group_width, 2, name=first)
    halves = []
    for half, channels in (("raw", raw_width), ("cheap", cheap_width)):
        y = convolutions.conv_bn(inner, channels, 1, name=f"{first}_{half}")
        shortcut = convolutions.conv_bn(
            x, channels, 1, strides=2, name=f"{first}_{half}_shortcut"
        )
        halves.append(_joined(y, shortcut, name=f"{first}_{half}"))
    raw, cheap = halves
    means = [
        _mean(half, name=f"{name}_mean0_{side}")
        for half, side in ((raw, "raw"), (cheap, "cheap"))
    ]
    for block in range(1, depth - 1):
        raw = _block(raw, raw_width, raw_group, 1, name=f"{name}_block{block}")
        means.append(_mean(raw, name=f"{name}_mean{block}"))
    mixed = _joined_means(means, name=f"{name}_means")
    mixed = convolutions.conv_bn_relu(
        mixed, cheap_width, 1, name=f"{name}_mix_0"
    )
    mixed = convolutions.conv_bn(mixed, cheap_width, 1, name=f"{name}_mix_1")
    cheap = convolutions.conv_bn(cheap, cheap_width, 1, name=f"{name}_cheap")
    cheap = _joined(cheap, mixed, name=f"{name}_cheap")
    both = keras.layers.Concatenate(name=f"{name}_concat")([raw, cheap])
    return _block(both, width, group_width, 1, name=f"{name}_block{depth - 1}")


def _block(x, filters, group_width, strides, *, name):
    """Computes relu(shortcut + bottleneck) of RegNetX."""
    y = _inner(x, filters, group_width, strides, name=name)
    y = convolutions.conv_bn(y, filters, 1, name=f"{name}_last")
    if strides > 1 or x.shape[-1] != filters:
        x = convolutions.conv_bn(
            x, filters, 1, strides=strides, name=f"{name}_shortcut"
        )
    return _joined(y, x, name=name)


def _inner(x, filters, group_width, strides, *, name):
    """Runs all of a bottleneck but its last convolution."""
    x = convolutions.conv_bn_relu(x, filters, 1, name=f"{name}_reduce")
    group = min(filters, group_width)
    x = keras.layers.Conv2D(
        filters,
        3,
        strides=strides,
        padding="same",
        groups=filters // group,
        use_bias=False,
        kernel_initializer=convolutions.conv_initializer(group, 3),
        name=f"{name}_grouped_conv",
    )(x)
    x = convolutions.batch_norm(x, name=f"{name}_grouped")
    return keras.layers.ReLU(name=f"{name}_grouped_relu")(x)


def _joined(x, y, *, name):
    x = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _mean(x, *, name):
    return keras.layers.GlobalAveragePooling2D(keepdims=True, name=name)(x)


def _joined_means(means, *, name):
    """Concatenates in several steps, of `_JOINED` each."""
    join = functools.partial(keras.layers.Concatenate)
    step = 0
    while len(means) > 1:
        parts = [
            means[begin : begin + _JOINED]
            for begin in range(0, len(means), _JOINED)
        ]
        means = [
            join(name=f"{name}{step}_{index}")(part) if part[1:] else part[0]
            for index, part in enumerate(parts)
        ]
        step += 1
    return means[0]
