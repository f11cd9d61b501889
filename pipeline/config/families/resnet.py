"""Configures the ResNet experiments.

These are the paper's networks for CIFAR, shorter ones, and ones of half their
width, to draw a curve beside the early-exit networks. They are trained like the
early-exit networks, not as in the paper, whose schedule for CIFAR-10 is half as
long.
"""

import functools

import ml_collections

from pipeline.config.families import datasets

_CIFAR_DEPTHS = {10: (8, 14, 20, 32, 38, 56, 74), 100: (8, 14, 20, 32, 56)}
_HALF_AS_WIDE = (8, 14, 20)


def cifar(
    classes: int, depth: int, *, half: bool = False
) -> ml_collections.ConfigDict:
    """Configures ResNet-`depth`, 6n + 2, for CIFAR; half as wide if `half`."""
    return datasets.cifar(
        classes,
        "resnet",
        {
            "blocks": (depth - 2) // 6,
            "widths": (8, 16, 32) if half else (16, 32, 64),
            "zero_init_residual": False,
        },
    )


def digits() -> ml_collections.ConfigDict:
    """Configures a small ResNet on the digits, beside `ranet_digits`.

    It has the images and the training of `ranet_digits`, and one exit.
    """
    return datasets.digits("resnet", {"blocks": 1, "widths": (8, 16, 32)})


CONFIGS = (
    {
        f"resnet_cifar{classes}_{depth}": functools.partial(
            cifar, classes, depth
        )
        for classes, depths in _CIFAR_DEPTHS.items()
        for depth in depths
    }
    | {
        f"resnet_cifar{classes}_{depth}_w050": functools.partial(
            cifar, classes, depth, half=True
        )
        for classes in _CIFAR_DEPTHS
        for depth in _HALF_AS_WIDE
    }
    | {"resnet_digits": digits}
)
