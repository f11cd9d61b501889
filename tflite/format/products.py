"""Computes the shapes of convolutions, pools and products of matrices.

Each function returns a shape per output, or raises `InvalidModel`.
"""

import dataclasses
import math
from types import SimpleNamespace

from tflite.format import shapes
from tflite.format.decode import InvalidModel

# Kernels may lay out in memory what a window sees at all places.
MAX_PATCHES = 2**28

# Of a window, a stride or a dilation.
_MAX_STEP = 1024


def _window(
    node: shapes.Node,
    size: shapes.Shape,
    dilation: shapes.Shape,
    channels: int,
    looked_at: int,
) -> list[shapes.Shape]:
    """Returns the shape that a window moved over [N, H, W, C] leaves.

    Args:
        node: With the options' `padding` and strides.
        size: Of the window: height, width.
        dilation: Of the window: height, width.
        channels: Of the result.
        looked_at: Channels that the window sees at each place.
    """
    batch, *sides, _ = shapes.ranked(node, 0, 4)
    options = node.options
    strides = (options.stride_h, options.stride_w)
    if options.padding not in (0, 1) or not all(
        0 < each <= _MAX_STEP for each in (*size, *dilation, *strides)
    ):
        raise InvalidModel(
            f"window, dilation and strides must lie in [1, {_MAX_STEP}], and "
            f"the padding be 0 or 1. Received: {size}, {dilation}, {strides}, "
            f"{options.padding}"
        )
    found = []
    for extent, step, taps, gap in zip(
        sides, strides, size, dilation, strict=True
    ):
        reach = 1 if options.padding == 0 else (taps - 1) * gap + 1
        found.append((extent - reach) // step + 1)
    if min(found) < 1:
        raise InvalidModel(f"a window of {size} does not fit {sides}")
    patches = batch * math.prod(found) * math.prod(size) * looked_at
    if patches > MAX_PATCHES:
        raise InvalidModel(
            f"windows must see at most {MAX_PATCHES} numbers. "
            f"Received: {patches}"
        )
    return [(batch, *found, channels)]


def convolution(node: shapes.Node) -> list[shapes.Shape]:
    """Returns the shape after a filter [O, h, w, I].

    The filter may be for one group of channels or more.
    """
    channels, *size, depth = shapes.ranked(node, 1, 4)
    given = shapes.ranked(node, 0, 4)[-1]
    if given % depth or channels % (given // depth):
        raise InvalidModel(
            f"a filter {node.shape(1)} does not fit {node.shape(0)}"
        )
    dilation = (node.options.dilation_h, node.options.dilation_w)
    return _window(node, tuple(size), dilation, channels, given)


def depthwise(node: shapes.Node) -> list[shapes.Shape]:
    """Returns the shape after a filter [1, h, w, C x multiplier]."""
    one, *size, channels = shapes.ranked(node, 1, 4)
    given = shapes.ranked(node, 0, 4)[-1]
    if one != 1 or channels != given * node.options.multiplier:
        raise InvalidModel(
            f"a filter {node.shape(1)} with the multiplier "
            f"{node.options.multiplier} does not fit {node.shape(0)}"
        )
    dilation = (node.options.dilation_h, node.options.dilation_w)
    return _window(node, tuple(size), dilation, channels, channels)


def pool(node: shapes.Node) -> list[shapes.Shape]:
    """Returns the shape after a window per channel."""
    size = (node.options.filter_height, node.options.filter_width)
    channels = shapes.ranked(node, 0, 4)[-1]
    return _window(node, size, (1, 1), channels, 1)


def transposed_convolution(node: shapes.Node) -> list[shapes.Shape]:
    """Returns the given shape if a convolution would lead back from it."""
    channels, *size, depth = shapes.ranked(node, 1, 4)
    image = shapes.ranked(node, 2, 4)
    result = node.integers(0)
    if len(result) != 4 or min(result) < 1 or result[-1] != channels:
        raise InvalidModel(f"{result} is no shape of {channels} channels")
    back = dataclasses.replace(
        node, inputs=[SimpleNamespace(shape=result)], outputs=()
    )
    if _window(back, tuple(size), (1, 1), depth, channels) != [image]:
        raise InvalidModel(f"{result} does not fit {image}")
    return [result]


def dense(node: shapes.Node) -> list[shapes.Shape]:
    """Returns the shape after weights [O, I]."""
    units, depth = shapes.ranked(node, 1, 2)
    shape = node.shape(0)
    options = node.options
    if options.weights_format or math.prod(shape) % depth or not shape:
        raise InvalidModel(
            f"weights {node.shape(1)}, format {options.weights_format}, do "
            f"not fit {shape}"
        )
    if not options.keep_num_dims:
        return [(math.prod(shape) // depth, units)]
    if shape[-1] != depth:
        raise InvalidModel(f"weights {node.shape(1)} do not fit {shape}")
    return [(*shape[:-1], units)]


def product_of_matrices(node: shapes.Node) -> list[shapes.Shape]:
    """Returns the shape of stacked matrix products, transposed or not."""
    *batch, rows, depth = shapes.ranked(node, 0, 2, 3, 4, 5)
    *other, depth_too, columns = shapes.ranked(node, 1, 2, 3, 4, 5)
    if node.options.adjoint_x:
        rows, depth = depth, rows
    if node.options.adjoint_y:
        depth_too, columns = columns, depth_too
    if depth != depth_too:
        raise InvalidModel(f"{node.shape(0)} does not fit {node.shape(1)}")
    return [(*shapes.stretched(tuple(batch), tuple(other)), rows, columns)]
