"""What the experiments on one data set share: images, splits and schedule."""

import ml_collections

from pipeline.config import default


def cifar(
    classes: int, family: str, arguments: dict, name: str
) -> ml_collections.ConfigDict:
    """A model for CIFAR, trained for 300 epochs as RANet's authors do.

    Images come from a folder: `--config.data.source_options.path=DIR`.
    """
    config = default()
    with config.unlocked():
        config.name = name
        config.data.source_options.path = "cifar"
        # The published test split stays; of the rest, 5,000 images each
        # choose the checkpoint and fit the policy.
        config.data.fractions.test = 0.0
        config.model.family = family
        config.model.classes = classes
        config.model.arguments = ml_collections.ConfigDict(arguments)
        config.policy.rule = "budgeted_drop"
    return config


def imagenet(
    family: str, arguments: dict, name: str
) -> ml_collections.ConfigDict:
    """A model for ImageNet, trained for 90 epochs."""
    config = default()
    with config.unlocked():
        config.name = name
        config.data.source_options.path = "imagenet"
        config.data.size = 256
        config.data.shard_images = 1000
        config.data.fractions = ml_collections.ConfigDict(
            {"validation": 0.01, "calibration": 0.01, "test": 0.0}
        )
        config.model.family = family
        config.model.size = 224
        config.model.classes = 1000
        config.model.arguments = ml_collections.ConfigDict(arguments)
        config.policy.rule = "budgeted_drop"
        config.train.epochs = 90
        config.train.milestones = (1 / 3, 2 / 3)
        config.train.augmentation = "resized_crop_flip"
        config.quantize.steps = 10000
    return config
