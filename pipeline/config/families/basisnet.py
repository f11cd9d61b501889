"""Configures the BasisNet experiments.

The paper's settings could not be read (keras_dynamic/models/basisnet.py). The
backbones and sizes here are chosen so that the preview costs a tenth to a fifth
of the specialist, and the sigmoid because on a device it stays in XNNPACK,
unlike the softmax.
"""

import functools

import ml_collections

from pipeline.config.families import datasets


def v3_cifar10() -> ml_collections.ConfigDict:
    """Configures MobileNetV3-Small with 8 bases, previewed at half width."""
    small = {"family": "mobilenet_v3", "size": "small", "downsampling": 8}
    return _cifar10(preview={**small, "width": 0.5}, specialist=small)


def v2_cifar10() -> ml_collections.ConfigDict:
    """Configures MobileNetV2 with 8 bases, previewed at 0.35 of its width."""
    return _cifar10(
        preview={"family": "mobilenet_v2", "width": 0.35, "downsampling": 8},
        specialist={"family": "mobilenet_v2", "downsampling": 8},
    )


def _cifar10(**backbones):
    return datasets.cifar(
        10,
        "basisnet",
        {
            "preview_size": 24,
            "activation": "sigmoid",
            # Some five epochs of blending.
            "blend_steps": 3000,
            "bases": 8,
            **backbones,
        },
    )


def v3_imagenet(size: str, bases: int) -> ml_collections.ConfigDict:
    """Configures MobileNetV3, previewed by MobileNetV3-Small.

    Small itself is previewed by a Small of half its width.
    """
    width = {"large": 1.0, "small": 0.5}[size]
    return _imagenet(
        bases,
        preview={"family": "mobilenet_v3", "size": "small", "width": width},
        specialist={"family": "mobilenet_v3", "size": size},
    )


def v2_imagenet() -> ml_collections.ConfigDict:
    """Configures MobileNetV2 with 8 bases, previewed at half width."""
    return _imagenet(
        8,
        preview={"family": "mobilenet_v2", "width": 0.5},
        specialist={"family": "mobilenet_v2"},
    )


def _imagenet(bases, **backbones):
    return datasets.imagenet(
        "basisnet",
        {
            "preview_size": 128,
            "activation": "sigmoid",
            # Some five epochs of blending.
            "blend_steps": 100_000,
            "bases": bases,
            **backbones,
        },
    )


def digits() -> ml_collections.ConfigDict:
    """Configures a small BasisNet on scikit-learn's scanned digits.

    It has the images and the training of `ranet_digits`. The specialist is the
    backbone of `resnet_digits`; the preview sees the scans at 8x8, as they are.
    """
    return datasets.digits(
        "basisnet",
        {
            "preview": {"family": "resnet", "blocks": 1, "widths": (8, 16)},
            "preview_size": 8,
            "specialist": {
                "family": "resnet",
                "blocks": 1,
                "widths": (8, 16, 32),
            },
            "bases": 4,
            # In one XNNPACK partition, unlike the softmax.
            "activation": "sigmoid",
            "blend_steps": 100,
        },
    )


CONFIGS = {
    "basisnet_cifar10": v3_cifar10,
    "basisnet_digits": digits,
    "basisnet_v2_cifar10": v2_cifar10,
    "basisnet_v2_imagenet": v2_imagenet,
    "basisnet_v3_large_imagenet": functools.partial(v3_imagenet, "large", 16),
    "basisnet_v3_small_imagenet": functools.partial(v3_imagenet, "small", 8),
}
