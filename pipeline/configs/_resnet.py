"""What the ResNet experiments share.

The paper's networks for CIFAR, shorter ones, and ones of half their width, to
draw a curve beside the early-exit networks. They are trained like these, not
as in the paper, whose schedule for CIFAR-10 is half as long.
"""

import ml_collections

from pipeline.configs import _datasets


def cifar(
    classes: int, depth: int, *, half: bool = False
) -> ml_collections.ConfigDict:
    """ResNet-`depth` for CIFAR, `depth` being 6n + 2; perhaps half as wide."""
    widths = (8, 16, 32) if half else (16, 32, 64)
    return _datasets.cifar(
        classes,
        family="resnet",
        arguments={
            "blocks": (depth - 2) // 6,
            "widths": widths,
            "zero_init_residual": False,
        },
        name=f"resnet_cifar{classes}_{depth}{'_w050' if half else ''}",
    )
