"""What the MobileNet experiments share.

Their authors trained for longer, with RMSProp: here they are trained like the
early-exit networks beside which they are shown.
"""

import ml_collections

from pipeline.configs import _datasets


def v2_cifar(classes: int, width: float) -> ml_collections.ConfigDict:
    """MobileNetV2 for CIFAR, down to maps of 4x4."""
    return _datasets.cifar(
        classes,
        family="mobilenet_v2",
        arguments={"width": width, "downsampling": 8},
        name=f"mobilenet_v2_cifar{classes}_{_suffix(width)}",
    )


def v2_imagenet(width: float) -> ml_collections.ConfigDict:
    """A published MobileNetV2."""
    return _datasets.imagenet(
        family="mobilenet_v2",
        arguments={"width": width},
        name=f"mobilenet_v2_imagenet_{_suffix(width)}",
    )


def v3_cifar(
    classes: int, size: str, width: float
) -> ml_collections.ConfigDict:
    """MobileNetV3 for CIFAR, down to maps of 4x4."""
    return _datasets.cifar(
        classes,
        family="mobilenet_v3",
        arguments={"size": size, "width": width, "downsampling": 8},
        name=f"mobilenet_v3_{size}_cifar{classes}_{_suffix(width)}",
    )


def v3_imagenet(size: str, width: float) -> ml_collections.ConfigDict:
    """A published MobileNetV3."""
    return _datasets.imagenet(
        family="mobilenet_v3",
        arguments={"size": size, "width": width},
        name=f"mobilenet_v3_{size}_imagenet_{_suffix(width)}",
    )


def _suffix(width):
    return f"w{round(100 * width):03}"
