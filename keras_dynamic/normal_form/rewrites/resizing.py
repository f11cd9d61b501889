"""Rewrites resizing: bilinear, and by nearest neighbours in whole steps."""

from typing import Any

import keras

from keras_dynamic import layers
from keras_dynamic.normal_form.rewrite import Rewrite, refuse
from keras_dynamic.normal_form.rewrites import slicing
from keras_dynamic.normal_form.site import Site


def _resize(site: Site) -> Any:
    given = site.operation
    if isinstance(given, keras.layers.Layer):
        size = (given.height, given.width)
    else:
        size = tuple(given.size)
    if (
        given.antialias
        or given.crop_to_aspect_ratio
        or given.pad_to_aspect_ratio
    ):
        raise refuse(
            "it resizes with antialiasing, or keeps the aspect ratio",
            "leave these arguments out, or resize the data",
        )
    return _resized(site, size, given.interpolation)


def _up_sampling(site: Site) -> Any:
    layer = site.operation
    if layer.interpolation == "nearest":
        return site.keep()
    size = tuple(
        have * factor
        for have, factor in zip(site.x.shape[1:3], layer.size, strict=True)
    )
    return _resized(site, size, layer.interpolation)


def _resized(site: Site, size: tuple[int, int], interpolation: str) -> Any:
    have = tuple(site.x.shape[1:3])
    if size == have:
        return site.x
    if interpolation == "bilinear":
        return site.add(
            layers.BilinearResize, site.x, height=size[0], width=size[1]
        )
    up = [want % old == 0 for want, old in zip(size, have, strict=True)]
    down = [old % want == 0 for want, old in zip(size, have, strict=True)]
    if interpolation == "nearest" and all(up):
        factors = tuple(
            want // old for want, old in zip(size, have, strict=True)
        )
        return site.add(keras.layers.UpSampling2D, site.x, size=factors)
    if interpolation == "nearest" and all(down):
        steps = tuple(old // want for want, old in zip(size, have, strict=True))
        # From the middle of each cell, by half pixels.
        crop = tuple((step // 2, 0) for step in steps)
        # A window of one reaches the last cell without what follows it.
        y = slicing.cropped(site, site.x, crop, "crop")
        return slicing.strided(site, y, steps, "")
    raise refuse(
        f"it resizes {have} to {size} with interpolation {interpolation!r}",
        "use bilinear, or nearest by whole numbers",
    )


REWRITES = (
    Rewrite(
        layers=(keras.layers.Resizing,), operations=("Resize",), apply=_resize
    ),
    Rewrite(layers=(keras.layers.UpSampling2D,), apply=_up_sampling),
)
