"""Configures the MSDNet experiments: the published settings.

They follow the commands of the authors' repositories: "anytime" with ten exits
as in the paper, "batch_nbK" with K exits at the layers 1, 3, 6, 10, ..., and on
ImageNet five exits, the first one after as many layers as lie between two. nb5,
nb7 and step 4 are in their READMEs, nb8 and step 7 in their scripts, nb6 and
step 5 in BoostNet's, nb4 and step 6 in later papers that compare with MSDNet.
"""

import functools

import ml_collections

from pipeline.config.families import datasets


def cifar_anytime(classes: int) -> ml_collections.ConfigDict:
    """Configures the published CIFAR model for anytime prediction."""
    return _cifar(
        classes, {"blocks": 10, "base": 4, "step": 2, "step_mode": "even"}
    )


def cifar_batch(classes: int, blocks: int) -> ml_collections.ConfigDict:
    """Configures a published CIFAR model for budgeted batch classification."""
    return _cifar(
        classes,
        {"blocks": blocks, "base": 1, "step": 1, "step_mode": "lin_grow"},
    )


def _cifar(classes, arguments):
    return datasets.cifar(
        classes,
        "msdnet",
        {
            "channels": 16,
            "growth_rate": 6,
            "growth_factors": (1, 2, 4),
            "bottleneck_factors": (1, 2, 4),
            **arguments,
        },
    )


def imagenet(step: int) -> ml_collections.ConfigDict:
    """Configures a published ImageNet model, `step` layers between exits."""
    config = datasets.imagenet(
        "msdnet",
        {
            "channels": 32,
            "growth_rate": 16,
            "growth_factors": (1, 2, 4, 4),
            "bottleneck_factors": (1, 2, 4, 4),
            "blocks": 5,
            "base": step,
            "step": step,
            "step_mode": "even",
            "stem": "imagenet",
            "head_width": None,
        },
    )
    config.train.batch_size = 256
    return config


CONFIGS = (
    {
        f"msdnet_cifar{classes}_anytime": functools.partial(
            cifar_anytime, classes
        )
        for classes in (10, 100)
    }
    | {
        f"msdnet_cifar{classes}_batch_nb{blocks}": functools.partial(
            cifar_batch, classes, blocks
        )
        for classes in (10, 100)
        for blocks in range(4, 9)
    }
    | {
        f"msdnet_imagenet_step{step}": functools.partial(imagenet, step)
        for step in range(4, 8)
    }
)
