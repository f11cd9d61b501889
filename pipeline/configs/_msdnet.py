"""What the MSDNet experiments share: the published settings.

The commands of the authors' repositories: "anytime" with ten exits as in the
paper, "batch_nbK" with K exits at the layers 1, 3, 6, 10, ..., and on ImageNet
five exits, the first one after as many layers as lie between two. nb5, nb7
and step 4 are in their READMEs, nb8 and step 7 in their scripts, nb6 and
step 5 in BoostNet's, nb4 and step 6 in later papers that compare with MSDNet.
"""

import ml_collections

from pipeline import config as config_lib


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
    """Images come from a folder: `--config.data.source_options.path=DIR`."""
    config = config_lib.default()
    with config.unlocked():
        config.name = f"msdnet_cifar{classes}_{model}"
        config.data.source_options.path = "cifar"
        # The published test split stays; of the rest, 5,000 images each
        # choose the checkpoint and fit the policy.
        config.data.fractions.test = 0.0
        config.model.family = "msdnet"
        config.model.classes = classes
        config.model.arguments = ml_collections.ConfigDict(
            {
                "channels": 16,
                "growth_rate": 6,
                "growth_factors": (1, 2, 4),
                "bottleneck_factors": (1, 2, 4),
                **arguments,
            }
        )
    return config


def imagenet(step: int) -> ml_collections.ConfigDict:
    """A published ImageNet model, trained for 90 epochs."""
    config = config_lib.default()
    with config.unlocked():
        config.name = f"msdnet_imagenet_step{step}"
        config.data.source_options.path = "imagenet"
        config.data.size = 256
        config.data.shard_images = 1000
        config.data.fractions = ml_collections.ConfigDict(
            {"validation": 0.01, "calibration": 0.01, "test": 0.0}
        )
        config.model.family = "msdnet"
        config.model.size = 224
        config.model.classes = 1000
        config.model.arguments = ml_collections.ConfigDict(
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
            }
        )
        config.train.epochs = 90
        config.train.batch_size = 256
        config.train.milestones = (1 / 3, 2 / 3)
        config.train.augmentation = "resized_crop_flip"
        config.quantize.steps = 10000
    return config
