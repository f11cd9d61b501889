"""Rewrites what prepares images, and drops what is there for training only.

What changes nothing outside of training is left out by `left_out`, before
anything is rewritten.
"""

from typing import Any

import keras

from keras_dynamic.graph import functional
from keras_dynamic.normal_form.rewrite import Rewrite, refuse
from keras_dynamic.normal_form.rewrites import slicing
from keras_dynamic.normal_form.site import Site

_TRAINING_ONLY = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)
# Of Keras, by name: some have another base class, or are not exported.
_AUGMENTATIONS = ("AugMix", "CutMix", "MixUp", "RandAugment", "StochasticDepth")


def left_out(call: functional.Call) -> bool:
    """Tells whether a call gives its input outside of training."""
    operation = call.operation
    name = type(operation).__name__
    of_keras = type(operation).__module__.split(".")[0] == "keras"
    if type(operation) in _TRAINING_ONLY:
        return True
    if not of_keras or len(call.inputs) != 1 or len(call.results) != 1:
        return False
    if name == "Cast":  # The normal form is float32 throughout.
        return keras.backend.is_float_dtype(operation.dtype)
    if not isinstance(operation, keras.layers.Layer):
        return name in ("Copy", "Identity")
    # A random crop takes the middle outside of training.
    same = call.inputs[0].shape == call.results[0].shape
    return same and (name.startswith("Random") or name in _AUGMENTATIONS)


def _rescaling(site: Site) -> Any:
    layer = site.operation
    return site.affine(site.x, layer.scale, layer.offset, sole=True)


def _center_crop(site: Site) -> Any:
    return _middle(site, site.operation.height, site.operation.width)


def _middle(site: Site, height: int, width: int) -> Any:
    spare = [
        have - want
        for have, want in zip(site.x.shape[1:3], (height, width), strict=True)
    ]
    if min(spare) < 0:
        raise refuse(
            "it crops to more than there is, which resizes first",
            "put a `Resizing` before it",
        )
    begin = [each // 2 for each in spare]
    crop = tuple(
        (first, each - first) for first, each in zip(begin, spare, strict=True)
    )
    return slicing.cropped(site, site.x, crop)


def _random_crop(site: Site) -> Any:
    raise refuse(
        "it crops at random in training, and resizes outside of it",
        "crop in the data, or use `CenterCrop` or `Resizing`",
    )


REWRITES = (
    Rewrite(layers=(keras.layers.Rescaling,), apply=_rescaling),
    Rewrite(layers=(keras.layers.CenterCrop,), apply=_center_crop),
    Rewrite(layers=(keras.layers.RandomCrop,), apply=_random_crop),
)
