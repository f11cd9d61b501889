"""Configures the LC-Net experiments.

The paper's schedule could not be read. The models are trained like the static
networks beside which they are shown, for a share of their multiply-adds.
"""

import functools
from collections.abc import Mapping
from typing import Any

import ml_collections

from pipeline.config.families import datasets

# Of 300 epochs with 40,000 images in batches of 64 the first third.
_ANNEALING_STEPS = 62_500


def resnet_cifar10(depth: int, **gates: Any) -> ml_collections.ConfigDict:
    """Configures an LC-Net on the ResNet of some depth, 6n + 2, for CIFAR-10.

    Args:
        depth: Depth of the ResNet.
        **gates: Arguments of the family, for gates of layers or of channels
            alone.
    """
    backbone = {
        "family": "resnet",
        "blocks": (depth - 2) // 6,
        "widths": (16, 32, 64),
        "zero_init_residual": True,
    }
    return _cifar10(backbone, 0.5, **gates)


def mobilenet_v2_cifar10() -> ml_collections.ConfigDict:
    """Configures an LC-Net on a MobileNetV2 for CIFAR-10, down to maps of 4x4.

    Blocks without a shortcut have no gates, so 0.42 of the network always runs.
    """
    backbone = {"family": "mobilenet_v2", "width": 1.0, "downsampling": 8}
    return _cifar10(backbone, 0.7)


def _cifar10(
    backbone: Mapping[str, Any], target: float, **gates: Any
) -> ml_collections.ConfigDict:
    """Configures gates for layers and channels, and their objective."""
    config = datasets.cifar(
        10,
        "lcnet",
        {
            "backbone": backbone,
            "layers": True,
            "channels": "groups",
            "groups": 2,
            "annealing_steps": _ANNEALING_STEPS,
            **gates,
        },
    )
    config.train.objective = "cost_target"
    config.train.objective_arguments = ml_collections.ConfigDict(
        {"target": target, "weight": 30.0}
    )
    return config


def digits() -> ml_collections.ConfigDict:
    """Configures a small LC-Net on the digits, beside `ranet_digits`.

    It has the images and the training of `ranet_digits`, and gates in a ResNet
    with one early exit.
    """
    config = datasets.digits(
        "lcnet",
        {
            "backbone": {
                "family": "resnet",
                "blocks": 2,
                "widths": (8, 16, 32),
            },
            "layers": True,
            "channels": "groups",
            "groups": 2,
            "exits": (1,),
            "head_width": 16,
            # A third of 30 epochs of 15 batches.
            "annealing_steps": 150,
        },
    )
    config.train.objective = "cost_target"
    config.train.objective_arguments = ml_collections.ConfigDict(
        {"target": 0.6}
    )
    return config


CONFIGS = {
    "lcnet_cifar10": functools.partial(resnet_cifar10, 38),
    "lcnet_cifar10_110": functools.partial(resnet_cifar10, 110),
    "lcnet_cifar10_20": functools.partial(resnet_cifar10, 20),
    "lcnet_cifar10_74": functools.partial(resnet_cifar10, 74),
    # C-Net alone, and L-Net alone.
    "lcnet_cifar10_channels": functools.partial(
        resnet_cifar10, 38, layers=False
    ),
    "lcnet_cifar10_layers": functools.partial(
        resnet_cifar10, 38, channels=None
    ),
    "lcnet_cifar10_mobilenet_v2": mobilenet_v2_cifar10,
    "lcnet_digits": digits,
}
