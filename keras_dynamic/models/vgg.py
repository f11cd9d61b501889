"""Builds a network of the VGG kind with exits: few and wide 3x3 convolutions.

It is the plain chain of Simonyan and Zisserman, "Very Deep Convolutional
Networks for Large-Scale Image Recognition", ICLR 2015, arXiv 1409.1556, as far
as one goes for small images: 3x3 convolutions, maps halved by max-pooling,
wider from block to block. It has batch normalization, a mean over the last map
in place of the large dense layers, and, where it is wanted, a shortcut in a
block, which makes it the network known as ResNet-9. A handful of wide
convolutions keeps a processor busier than dozens of narrow ones, in training
and on the device.

An exit looks at the end of a block. The first block is narrow and the last ones
are wide, so that the first exit is cheap beside the last: an image that stops
early can save no more than that.
"""

from collections.abc import Sequence

import keras

from keras_dynamic.models.blocks import arguments, convolutions


def vgg(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    stem_width: int = 16,
    widths: Sequence[int] = (32, 128, 256),
    depths: Sequence[int] = (2, 2, 3),
    stem_strides: int = 1,
    residual: Sequence[int] = (),
    exits: Sequence[int] | None = None,
    head_widths: Sequence[Sequence[int]] | None = None,
    name: str = "vgg",
) -> keras.Model:
    """Builds the network as a functional model with one output per exit.

    A block is a 3x3 convolution, a max-pool that halves height and width, and
    `depths` - 1 more 3x3 convolutions; batch normalization and ReLU follow
    each. Layer names carry block and convolution (`block1_conv0_bn`); those of
    a classifier start with `exit_k`, and its logits are the output of the layer
    `exit_k` itself. All indices start at 0.

    The defaults are the sizes of `vgg_cifar10`, without the shortcut of its
    last block; no paper has them.

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; every exit gives logits [batch, classes].
        stem_width: Channels of the convolution before the first block.
        widths: Channels of each block.
        depths: Convolutions of each block.
        stem_strides: 1, or 2 for images of more than some 64 pixels: strides of
            the convolution before the first block.
        residual: Blocks whose convolutions behind the pool have a shortcut past
            them; these blocks need two or more.
        exits: Blocks that end in an exit, in increasing order, the last block
            among them; None for every block. The last block alone makes a
            network with one exit.
        head_widths: Channels of the 3x3 convolutions with strides 2 that each
            exit's classifier has before its mean, one list per exit. They give
            an early exit the depth that the blocks to come would have given,
            at a small part of the cost. None for one convolution per block to
            come, half as wide as that block.
        name: Name of the model.

    Raises:
        ValueError: If the lists differ in length, a number is out of its range,
            or the input is too small to be halved so often.
    """
    arguments.require_positive_integers(stem_width=stem_width)
    arguments.require_positive_integers_per(
        "block", widths=widths, depths=depths
    )
    arguments.require_one_of((1, 2), stem_strides=stem_strides)
    exits = _exits(exits, len(widths))
    heads = _head_widths(head_widths, exits, widths)
    _check_residual(residual, depths)
    _check_size(input_shape, stem_strides * 2 ** len(widths))

    inputs = keras.Input(shape=input_shape, name="image")
    x = convolutions.conv_bn_relu(
        inputs, stem_width, 3, strides=stem_strides, name="stem"
    )
    logits = []
    for block, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        x = _block(x, width, depth, block in residual, name=f"block{block}")
        if block in exits:
            exit = len(logits)
            logits.append(_classifier(x, classes, heads[exit], exit))
    return keras.Model(inputs, logits, name=name)


def _block(x, width, depth, residual, *, name):
    """Runs a convolution, a max-pool, and the block's other convolutions."""
    x = convolutions.conv_bn_relu(x, width, 3, name=f"{name}_conv0")
    # Behind normalization and ReLU, which int8 then runs in the convolution.
    x = keras.layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    shortcut = x
    for index in range(1, depth):
        layer = f"{name}_conv{index}"
        if residual and index == depth - 1:
            x = convolutions.conv_bn(x, width, 3, name=layer)
            x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
            return keras.layers.ReLU(name=f"{name}_relu")(x)
        x = convolutions.conv_bn_relu(x, width, 3, name=layer)
    return x


def _classifier(x, classes, widths, exit):
    """Runs convolutions with strides 2, the mean over the map, the logits."""
    for index, width in enumerate(widths):
        x = convolutions.conv_bn_relu(
            x, width, 3, strides=2, name=f"exit_{exit}_{index}"
        )
    return convolutions.linear_classifier(x, classes, exit)


def _exits(given, blocks):
    """Returns the blocks with an exit; raises ValueError if they are wrong."""
    if given is None:
        return tuple(range(blocks))
    exits = tuple(given)
    increasing = all(isinstance(block, int) for block in exits) and (
        list(exits) == sorted({*exits})
    )
    if not (exits and increasing and exits[0] >= 0 and exits[-1] == blocks - 1):
        raise ValueError(
            "`exits` must be indices of blocks in increasing order that end "
            f"with the last block, {blocks - 1}. Received: exits={given!r}"
        )
    return exits


def _head_widths(given, exits, widths):
    """Returns the widths of each exit's convolutions; raises if wrong."""
    if given is None:
        return [
            [max(1, width // 2) for width in widths[block + 1 :]]
            for block in exits
        ]
    if len(given) != len(exits):
        raise ValueError(
            f"`head_widths` must hold one list for each of the {len(exits)} "
            f"exits. Received: head_widths={given!r}"
        )
    arguments.require_positive_integers(
        **{
            f"head_widths[{exit}][{index}]": width
            for exit, head in enumerate(given)
            for index, width in enumerate(head)
        }
    )
    return given


def _check_residual(residual, depths):
    for block in residual:
        if block not in range(len(depths)) or depths[block] < 2:
            raise ValueError(
                "`residual` must hold indices of blocks with two or more "
                f"convolutions. Received: residual={residual!r}, "
                f"depths={depths!r}"
            )


def _check_size(input_shape, factor):
    if min(input_shape[:2]) < factor:
        raise ValueError(
            f"`input_shape` must have at least {factor} pixels a side: the "
            f"strides divide it by that. Received: input_shape={input_shape}"
        )
