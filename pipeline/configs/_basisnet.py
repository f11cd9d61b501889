"""What the BasisNet experiments share.

The paper's settings could not be read (keras_dynamic/models/basisnet.py): the
backbones and sizes here are chosen so that the preview costs a tenth to a fifth
of the specialist, and the sigmoid because on a device it stays in XNNPACK,
unlike the softmax.
"""

import ml_collections

from pipeline.configs import _datasets


def v3_cifar(classes: int, bases: int, name: str) -> ml_collections.ConfigDict:
    """MobileNetV3-Small, previewed by one of half its width."""
    small = {"family": "mobilenet_v3", "size": "small", "downsampling": 8}
    return _cifar(
        classes,
        preview={**small, "width": 0.5},
        specialist=small,
        bases=bases,
        name=name,
    )


def v2_cifar(classes: int, bases: int, name: str) -> ml_collections.ConfigDict:
    """MobileNetV2, previewed by one of 0.35 times its width."""
    return _cifar(
        classes,
        preview={"family": "mobilenet_v2", "width": 0.35, "downsampling": 8},
        specialist={"family": "mobilenet_v2", "downsampling": 8},
        bases=bases,
        name=name,
    )


def _cifar(classes, **arguments):
    name = arguments.pop("name")
    return _datasets.cifar(
        classes,
        family="basisnet",
        # Some five epochs of blending.
        arguments={
            "preview_size": 24,
            "activation": "sigmoid",
            "blend_steps": 3000,
            **arguments,
        },
        name=name,
    )


def v3_imagenet(size: str, bases: int, name: str) -> ml_collections.ConfigDict:
    """MobileNetV3, previewed by Small: half as wide if it is one itself."""
    width = {"large": 1.0, "small": 0.5}[size]
    return _imagenet(
        preview={"family": "mobilenet_v3", "size": "small", "width": width},
        specialist={"family": "mobilenet_v3", "size": size},
        bases=bases,
        name=name,
    )


def v2_imagenet(bases: int, name: str) -> ml_collections.ConfigDict:
    """MobileNetV2, previewed by one of half its width."""
    return _imagenet(
        preview={"family": "mobilenet_v2", "width": 0.5},
        specialist={"family": "mobilenet_v2"},
        bases=bases,
        name=name,
    )


def _imagenet(**arguments):
    name = arguments.pop("name")
    return _datasets.imagenet(
        family="basisnet",
        # Some five epochs of blending.
        arguments={
            "preview_size": 128,
            "activation": "sigmoid",
            "blend_steps": 100_000,
            **arguments,
        },
        name=name,
    )
