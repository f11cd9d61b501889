"""Rewrites what only moves numbers, or puts zeros around them."""

import math
from typing import Any

import keras

from keras_dynamic.normal_form.rewrite import Rewrite, refuse
from keras_dynamic.normal_form.site import Site


def _kept(site: Site) -> Any:
    return site.keep()


def _reshape(site: Site) -> Any:
    """Rewrites what gives the same numbers in the same order."""
    shape = site.result_shape
    before = tuple(site.x.shape[1:])
    if None in shape or math.prod(shape) != math.prod(before):
        raise refuse(
            f"it makes {shape} of images of shape {before}",
            "leave the batch's axis alone",
        )
    return site.add(keras.layers.Reshape, site.x, target_shape=shape)


def _transpose(site: Site) -> Any:
    axes = site.operation.axes
    if axes is None or axes[0] != 0:
        raise refuse("it moves the batch's axis", "leave it the first one")
    return site.add(keras.layers.Permute, site.x, dims=tuple(axes[1:]))


def _pad(site: Site) -> Any:
    widths = [tuple(each) for each in site.operation.pad_width]
    value = [*site.args[1:], *site.kwargs.values(), None][0]
    zeros = site.operation.mode == "constant" and not value
    if not zeros or len(widths) != 4 or any(widths[0] + widths[3]):
        raise refuse(
            "it pads otherwise than with zeros around height and width",
            "use `ZeroPadding2D`",
        )
    return site.add(
        keras.layers.ZeroPadding2D, site.x, padding=tuple(widths[1:3])
    )


REWRITES = (
    Rewrite(
        layers=(
            keras.layers.Cropping2D,
            keras.layers.Flatten,
            keras.layers.Permute,
            keras.layers.ZeroPadding2D,
        ),
        apply=_kept,
    ),
    Rewrite(
        layers=(keras.layers.Reshape,),
        operations=("ExpandDims", "Reshape", "Squeeze"),
        apply=_reshape,
    ),
    Rewrite(operations=("Transpose",), apply=_transpose),
    Rewrite(operations=("Pad",), apply=_pad),
)
