"""What the LC-Net experiments share.

The paper's schedule could not be read. They are trained as the static networks
beside which they are shown, for a share of their multiply-adds.
"""

from typing import Any

import ml_collections

from pipeline.configs import _datasets

# Of 300 epochs with 40,000 images in batches of 64 the first third.
_ANNEALING_STEPS = 62_500


def resnet_cifar10(depth: int, name: str) -> ml_collections.ConfigDict:
    """An LC-Net on the ResNet of some depth, 6n + 2, for CIFAR-10."""
    backbone = {
        "family": "resnet",
        "blocks": (depth - 2) // 6,
        "widths": (16, 32, 64),
        "zero_init_residual": True,
    }
    return _cifar10(backbone, name, target=0.5)


def mobilenet_v2_cifar10(width: float, name: str) -> ml_collections.ConfigDict:
    """An LC-Net on a MobileNetV2 for CIFAR-10, down to maps of 4x4.

    Blocks without a shortcut have no gates, so 0.42 of it always runs.
    """
    backbone = {"family": "mobilenet_v2", "width": width, "downsampling": 8}
    return _cifar10(backbone, name, target=0.7)


def _cifar10(
    backbone: dict[str, Any], name: str, target: float
) -> ml_collections.ConfigDict:
    """Gates for layers and for two groups of channels, and their objective."""
    config = _datasets.cifar(
        10,
        family="lcnet",
        arguments={
            "backbone": backbone,
            "layers": True,
            "channels": "groups",
            "groups": 2,
            "annealing_steps": _ANNEALING_STEPS,
        },
        name=name,
    )
    with config.unlocked():
        config.train.objective = "cost_target"
        config.train.objective_arguments = ml_collections.ConfigDict(
            {"target": target, "weight": 30.0}
        )
    return config
