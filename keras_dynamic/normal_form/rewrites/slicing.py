"""Rewrites slices as crops, and every n-th number as a pooling of one."""

import math
from typing import Any

import keras

from keras_dynamic.normal_form.rewrite import Rewrite, refuse
from keras_dynamic.normal_form.site import Site


def cropped(site: Site, x: Any, crop: tuple, part: str = "") -> Any:
    """Crops height and width: ((top, bottom), (left, right))."""
    if not any(map(any, crop)):
        return x
    return site.add(keras.layers.Cropping2D, x, part=part, cropping=crop)


def taken(
    site: Site, x: Any, axis: int, part: str, start: int, count: int, step: int
) -> Any:
    """Takes `count` numbers along an axis, every `step`-th from `start`."""
    shape = tuple(x.shape[1:])
    size = shape[axis - 1]
    stop = start + (count - 1) * step + 1
    if (start, stop, step) == (0, size, 1):
        return x
    before, after = shape[: axis - 1], shape[axis:]
    y = site.add(
        keras.layers.Reshape,
        x,
        part=f"{part}_map",
        target_shape=(math.prod(before), size, math.prod(after)),
    )
    y = cropped(site, y, ((0, 0), (start, size - stop)), f"{part}_crop")
    if step > 1:
        y = site.add(
            keras.layers.MaxPooling2D,
            y,
            part=f"{part}_stride",
            pool_size=1,
            strides=(1, step),
        )
    return site.add(
        keras.layers.Reshape,
        y,
        part=part,
        target_shape=(*before, count, *after),
    )


def strided(site: Site, x: Any, steps: tuple[int, int], part: str) -> Any:
    """Takes every n-th row and column, from the first ones."""
    if steps == (1, 1):
        return x
    return site.add(
        keras.layers.MaxPooling2D, x, part=part, pool_size=1, strides=steps
    )


def _get_item(site: Site) -> Any:
    """Rewrites `x[...]` with slices, numbers and an ellipsis."""
    key = site.args[1] if len(site.args) > 1 else site.kwargs["key"]
    keys = list(key) if isinstance(key, tuple) else [key]
    x, shape = site.x, tuple(site.x.shape)
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        missing = len(shape) - len(keys) + 1
        keys[place : place + 1] = [slice(None)] * missing
    keys += [slice(None)] * (len(shape) - len(keys))
    simple = all(isinstance(each, (int, slice)) for each in keys)
    if not simple or len(keys) != len(shape) or keys[0] != slice(None):
        raise refuse(
            f"it takes x[{key}]",
            "take slices or numbers along the axes but the batch's",
        )
    ranges = []
    for each, size in zip(keys[1:], shape[1:], strict=True):
        if isinstance(each, int):
            each = slice(each % size, each % size + 1)
        ranges.append(range(*each.indices(size)))
    if any(len(each) == 0 or each.step < 1 for each in ranges):
        raise refuse(f"it takes x[{key}]", "let steps be positive")
    if len(shape) == 4:
        crop = tuple(
            (each.start, size - each[-1] - 1)
            for each, size in zip(ranges[:2], shape[1:3], strict=True)
        )
        x = cropped(site, x, crop, "crop")
        x = strided(site, x, (ranges[0].step, ranges[1].step), "stride")
        ranges[:2] = [range(size) for size in x.shape[1:3]]
    for axis, each in enumerate(ranges, 1):
        x = taken(
            site, x, axis, f"axis_{axis}", each.start, len(each), each.step
        )
    if tuple(x.shape[1:]) == site.result_shape:
        return x
    return site.add(keras.layers.Reshape, x, target_shape=site.result_shape)


def _split(site: Site) -> Any:
    axis = site.operation.axis % len(site.x.shape)
    if axis == 0:
        raise refuse("it splits the batch", "split along another axis")
    found, start = [], 0
    for number, result in enumerate(site.call.results):
        count = result.shape[axis]
        found.append(
            taken(site, site.x, axis, f"part_{number}", start, count, 1)
        )
        start += count
    return found


REWRITES = (
    Rewrite(operations=("GetItem",), apply=_get_item),
    Rewrite(operations=("Split",), apply=_split),
)
