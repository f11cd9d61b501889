"""Holds what experiments on one data set share: images, splits, schedule."""

from collections.abc import Mapping
from typing import Any

import ml_collections

from pipeline.config.schema import default


def cifar(
    classes: int, family: str, arguments: Mapping[str, Any]
) -> ml_collections.ConfigDict:
    """Configures a model for CIFAR: 300 epochs, as RANet's authors train.

    Images come from a folder: `--config.data.source_options.path=DIR`.
    """
    config = default()
    with config.unlocked():
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
    family: str, arguments: Mapping[str, Any]
) -> ml_collections.ConfigDict:
    """Configures a model for ImageNet, trained for 90 epochs."""
    config = default()
    with config.unlocked():
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


def digits(
    family: str, arguments: Mapping[str, Any]
) -> ml_collections.ConfigDict:
    """Configures a small model for scikit-learn's scanned digits.

    The 8x8 scans are stored at 16x16, so that two sub-networks of a RANet have
    resolutions of 8 and 16 and every classifier ends on a 2x2 map.
    """
    config = default()
    with config.unlocked():
        config.data.source = "digits"
        config.data.size = 16
        config.data.channels = 1
        config.data.fractions = ml_collections.ConfigDict(
            {"validation": 0.05, "calibration": 0.2, "test": 0.2}
        )
        config.data.shard_images = 500
        config.model.family = family
        config.model.size = 16
        config.model.classes = 10
        config.model.arguments = ml_collections.ConfigDict(arguments)
        config.train.epochs = 30
        config.train.batch_size = 64
        config.train.schedule = "cosine"
        # A few dozen validation images do not tell good epochs apart.
        config.train.select = "last"
        # Mirrored digits are other digits: shift, do not flip.
        config.train.augmentation = "shift"
        config.train.augmentation_options = ml_collections.ConfigDict(
            {"pixels": 1}
        )
        config.quantize.steps = 100
        config.quantize.batch_size = 32
        config.quantize.learning_rate = 5e-3
        # Some 380 calibration images promise nothing of others. One of them is
        # a quarter of a point: ask for no loss there, to lose little on others.
        config.policy.rule = "accuracy_drop"
        config.policy.max_drop_points = 0.0
    return config
