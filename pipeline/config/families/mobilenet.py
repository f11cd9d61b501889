"""Configures the MobileNet experiments.

The authors of MobileNet trained for longer, with RMSProp: here the models are
trained like the early-exit networks beside which they are shown.
"""

import functools

import ml_collections

from pipeline.config.families import datasets


def v2_cifar(classes: int, width: float) -> ml_collections.ConfigDict:
    """Configures MobileNetV2 for CIFAR, down to maps of 4x4."""
    return datasets.cifar(
        classes, "mobilenet_v2", {"width": width, "downsampling": 8}
    )


def v2_imagenet(width: float) -> ml_collections.ConfigDict:
    """Configures a published MobileNetV2."""
    return datasets.imagenet("mobilenet_v2", {"width": width})


def v3_cifar(
    classes: int, size: str, width: float
) -> ml_collections.ConfigDict:
    """Configures MobileNetV3 for CIFAR, down to maps of 4x4."""
    return datasets.cifar(
        classes,
        "mobilenet_v3",
        {"size": size, "width": width, "downsampling": 8},
    )


def v3_imagenet(size: str, width: float) -> ml_collections.ConfigDict:
    """Configures a published MobileNetV3."""
    return datasets.imagenet("mobilenet_v3", {"size": size, "width": width})


def _suffix(width):
    return f"w{round(100 * width):03}"


CONFIGS = (
    {
        f"mobilenet_v2_cifar{classes}_{_suffix(width)}": functools.partial(
            v2_cifar, classes, width
        )
        for classes in (10, 100)
        for width in (0.35, 0.5, 0.75, 1.0)
    }
    | {
        f"mobilenet_v2_imagenet_{_suffix(width)}": functools.partial(
            v2_imagenet, width
        )
        for width in (0.35, 0.5, 0.75, 1.0, 1.4)
    }
    | {
        f"mobilenet_v3_{size}_cifar{classes}_{_suffix(width)}": (
            functools.partial(v3_cifar, classes, size, width)
        )
        for size in ("large", "small")
        for classes in (10, 100)
        for width in (0.5, 1.0)
    }
    | {
        f"mobilenet_v3_{size}_imagenet_{_suffix(width)}": functools.partial(
            v3_imagenet, size, width
        )
        for size in ("large", "small")
        for width in (0.75, 1.0)
    }
)
