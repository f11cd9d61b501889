"""Configures the GhostNet experiments, static and with exits.

The authors trained for longer: here the models are trained like the early-exit
networks beside which they are shown.
"""

import functools

import ml_collections

from pipeline.config.families import datasets

# Ends of the blocks before the last two strides' on small images.
_EXITS = ("ghost4_add", "ghost10_add")


def cifar(classes: int, width: float) -> ml_collections.ConfigDict:
    """Configures a static GhostNet for CIFAR, down to maps of 4x4."""
    return datasets.cifar(
        classes, "ghostnet", {"width": width, "downsampling": 8}
    )


def cifar_with_exits(classes: int) -> ml_collections.ConfigDict:
    """Configures a GhostNet with three exits for CIFAR."""
    return datasets.cifar(
        classes,
        "ghostnet",
        {"downsampling": 8, "at": _EXITS, "head": "conv1"},
    )


def imagenet(width: float) -> ml_collections.ConfigDict:
    """Configures a published GhostNet."""
    return datasets.imagenet("ghostnet", {"width": width})


def regnet_imagenet() -> ml_collections.ConfigDict:
    """Configures the published G-Ghost RegNetX-3.2GF."""
    return datasets.imagenet("ghost_regnet", {})


def _suffix(width):
    return f"w{round(100 * width):03}"


CONFIGS = (
    {
        f"ghostnet_cifar{classes}_{_suffix(width)}": functools.partial(
            cifar, classes, width
        )
        for classes in (10, 100)
        for width in (0.5, 1.0)
    }
    | {
        f"ghostnet_cifar{classes}": functools.partial(cifar_with_exits, classes)
        for classes in (10, 100)
    }
    | {
        f"ghostnet_imagenet_{_suffix(width)}": functools.partial(
            imagenet, width
        )
        for width in (0.5, 1.0, 1.3)
    }
    | {"ghost_regnet_imagenet_032": regnet_imagenet}
)
