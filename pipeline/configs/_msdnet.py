"""What the MSDNet experiments share: the published settings.

The commands of the authors' repositories: "anytime" with ten exits as in the
paper, "batch_nbK" with K exits at the layers 1, 3, 6, 10, ..., and on ImageNet
five exits, the first one after as many layers as lie between two. nb5, nb7
and step 4 are in their READMEs, nb8 and step 7 in their scripts, nb6 and
step 5 in BoostNet's, nb4 and step 6 in later papers that compare with MSDNet.
"""

import ml_collections

from pipeline.configs import _datasets


def cifar_anytime(classes: int) -> ml_collections.ConfigDict:
    """The published CIFAR model for anytime prediction."""
    return _cifar(
        classes,
        "anytime",
        {"blocks": 10, "base": 4, "step": 2, "step_mode": "even"},
    )


def cifar_batch(classes: int, blocks: int) -> ml_collections.ConfigDict:
    """A published CIFAR model for budgeted batch classification."""
    return _cifar(
        classes,
        f"batch_nb{blocks}",
        {"blocks": blocks, "base": 1, "step": 1, "step_mode": "lin_grow"},
    )


def _cifar(classes, model, arguments):
    return _datasets.cifar(
        classes,
        family="msdnet",
        arguments={
            "channels": 16,
            "growth_rate": 6,
            "growth_factors": (1, 2, 4),
            "bottleneck_factors": (1, 2, 4),
            **arguments,
        },
        name=f"msdnet_cifar{classes}_{model}",
    )


def imagenet(step: int) -> ml_collections.ConfigDict:
    """A published ImageNet model."""
    config = _datasets.imagenet(
        family="msdnet",
        arguments={
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
        name=f"msdnet_imagenet_step{step}",
    )
    with config.unlocked():
        config.train.batch_size = 256
    return config
