"""Configures cascades of sizes: a small image, then a larger one if need be."""

import functools

import ml_collections

from pipeline.config.families import datasets, photos, vgg


def of_photos() -> ml_collections.ConfigDict:
    """Configures two EfficientNet-Lite0s, for photographs at 96 and 160 pixels.

    Folder, sizes and training are those of `photos`; there the exits are on one
    network.
    """
    config = photos.photos()
    config.model.family = "size_cascade"
    config.model.arguments = ml_collections.ConfigDict(
        {
            "sizes": (96, 160),
            "backbone": {"family": "efficientnet_lite", "variant": 0},
            "weights": "imagenet",
        }
    )
    return config


def cifar(classes: int) -> ml_collections.ConfigDict:
    """Configures two networks of the last exit of `vgg_cifar10`."""
    arguments = {
        "sizes": (20, 32),
        "backbone": {"family": "vgg", "exits": (2,), "residual": (2,)},
    }
    return vgg.train_briefly(datasets.cifar(classes, "size_cascade", arguments))


def cluttered_digits() -> ml_collections.ConfigDict:
    """Configures two networks for the images of `vgg_cluttered_digits`.

    Each is the last exit there.
    """
    config = vgg.cluttered_digits()
    config.model.family = "size_cascade"
    config.model.arguments = ml_collections.ConfigDict(
        {
            "sizes": (20, 32),
            "backbone": {
                "family": "vgg",
                "stem_width": 8,
                "stem_strides": 2,
                "widths": (16, 48, 128),
                "depths": (1, 2, 3),
                "residual": (2,),
                "exits": (2,),
            },
        }
    )
    return config


CONFIGS = {
    "size_cascade_cifar10": functools.partial(cifar, 10),
    "size_cascade_cifar100": functools.partial(cifar, 100),
    "size_cascade_cluttered_digits": cluttered_digits,
    "size_cascade_photos": of_photos,
}
