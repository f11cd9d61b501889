"""Rewrites pooling, over windows and over whole axes."""

import math
from typing import Any

import keras
import numpy as np

from keras_dynamic.normal_form.rewrite import Rewrite, refuse
from keras_dynamic.normal_form.site import Site


def _max(site: Site) -> Any:
    return site.keep()


def _average(site: Site) -> Any:
    """Keeps the layer, but for one over the whole map."""
    layer = site.operation
    whole = tuple(layer.pool_size) == tuple(site.x.shape[1:3])
    if whole and layer.padding == "valid":
        return site.add(
            keras.layers.GlobalAveragePooling2D, site.x, keepdims=True
        )
    return site.keep()


def _global_max(site: Site) -> Any:
    y = site.add(
        keras.layers.MaxPooling2D,
        site.x,
        part="" if site.operation.keepdims else "map",
        pool_size=tuple(site.x.shape[1:3]),
    )
    if site.operation.keepdims:
        return y
    return site.add(keras.layers.Reshape, y, target_shape=site.result_shape)


def _window(kind: type) -> Any:
    """Returns how an operation of `keras.ops` over windows is rewritten."""

    def apply(site):
        given = site.operation
        return site.add(
            kind,
            site.x,
            pool_size=given.pool_size,
            strides=given.strides,
            padding=given.padding,
        )

    return apply


def _axes(site: Site) -> list[int]:
    """Lists the axes that a mean, sum or maximum goes over."""
    axes, count = site.operation.axis, len(site.x.shape)
    if axes is None:
        axes = range(count)
    axes = sorted(axis % count for axis in axes)
    if 0 in axes:
        raise refuse("it goes over the batch", "name its other axes in `axis`")
    return axes


def _mean(site: Site) -> Any:
    return _reduced(site, 1.0)


def _sum(site: Site) -> Any:
    axes = _axes(site)
    return _reduced(site, math.prod(site.x.shape[axis] for axis in axes))


def _reduced(site: Site, factor: float) -> Any:
    """Averages over axes, times a factor."""
    axes, x = _axes(site), site.x
    last = len(x.shape) - 1
    part = "" if factor == 1 else "mean"
    if last == 3 and axes == [1, 2]:
        y = site.add(
            keras.layers.GlobalAveragePooling2D,
            x,
            part=part,
            keepdims=site.operation.keepdims,
        )
        return site.affine(y, factor, sole=True)
    if axes == [last]:
        return _over_channels(site, factor)
    y = _pooled(site, keras.layers.AveragePooling2D, axes, part)
    return site.affine(y, factor, sole=True)


def _over_channels(site: Site, factor: float) -> Any:
    """Averages over the last axis, times a factor: a 1x1 convolution."""
    shape = tuple(site.x.shape[1:])
    y = site.x
    if len(shape) != 3:
        y = site.add(
            keras.layers.Reshape,
            y,
            part="map",
            target_shape=(math.prod(shape[:-1]), 1, shape[-1]),
        )
    numbers = np.full((1, 1, shape[-1], 1), factor / shape[-1])
    same = y.shape[1:3] == site.result_shape[:2] and len(site.result_shape) == 3
    y = site.weighted(
        keras.layers.Conv2D,
        y,
        [numbers],
        part="" if same else "mean",
        trainable=False,
        filters=1,
        kernel_size=1,
        use_bias=False,
    )
    if same:
        return y
    return site.add(keras.layers.Reshape, y, target_shape=site.result_shape)


def _maximum(site: Site) -> Any:
    return _pooled(site, keras.layers.MaxPooling2D, _axes(site), "")


def _pooled(site: Site, kind: type, axes: list[int], part: str) -> Any:
    """Pools over whole axes that lie side by side."""
    shape = tuple(site.x.shape)
    if axes != list(range(axes[0], axes[-1] + 1)):
        raise refuse(
            f"it goes over the axes {axes}", "take axes that lie side by side"
        )
    before, over, after = (
        math.prod(shape[1 : axes[0]]),
        math.prod(shape[each] for each in axes),
        math.prod(shape[axes[-1] + 1 :]),
    )
    y = site.add(
        keras.layers.Reshape,
        site.x,
        part="map",
        target_shape=(before, over, after),
    )
    y = site.add(kind, y, part="pool", pool_size=(1, over))
    return site.add(
        keras.layers.Reshape, y, part=part, target_shape=site.result_shape
    )


REWRITES = (
    Rewrite(layers=(keras.layers.MaxPooling2D,), apply=_max),
    Rewrite(layers=(keras.layers.AveragePooling2D,), apply=_average),
    Rewrite(layers=(keras.layers.GlobalAveragePooling2D,), apply=_max),
    Rewrite(layers=(keras.layers.GlobalMaxPooling2D,), apply=_global_max),
    Rewrite(operations=("MaxPool",), apply=_window(keras.layers.MaxPooling2D)),
    Rewrite(
        operations=("AveragePool",),
        apply=_window(keras.layers.AveragePooling2D),
    ),
    Rewrite(operations=("Mean",), apply=_mean),
    Rewrite(operations=("Sum",), apply=_sum),
    Rewrite(operations=("Max", "Amax"), apply=_maximum),
)
