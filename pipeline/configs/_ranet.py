"""What the RANet experiments share: the published settings.

The commands of the authors' repository for the anytime models, and of
BoostNet's for "model1" to "model3". The CIFAR and ImageNet schedules are
those of the RANet code.
"""

import ml_collections

from pipeline import config as config_lib

# Per published CIFAR model: what differs between them.
_CIFAR = {
    "anytime": {
        "step": 4,
        "step_mode": "even",
        "scales": (1, 2, 3, 3),
        "growth_factors": (4, 2, 1, 1),
        "bottleneck_factors": (4, 2, 1, 1),
    },
    "model1": {
        "step": 2,
        "step_mode": "lg",
        "scales": (1, 2, 3),
        "growth_factors": (4, 2, 1),
        "bottleneck_factors": (4, 2, 1),
    },
    "model2": {
        "step": 2,
        "step_mode": "lg",
        "scales": (1, 2, 2, 3),
        "growth_factors": (4, 2, 2, 1),
        "bottleneck_factors": (4, 2, 2, 1),
    },
    "model3": {
        "step": 2,
        "step_mode": "lg",
        "scales": (1, 2, 3, 3),
        "growth_factors": (4, 2, 1, 1),
        "bottleneck_factors": (4, 2, 1, 1),
    },
}


def cifar(classes: int, model: str) -> ml_collections.ConfigDict:
    """A published CIFAR model; images come from a folder by default.

    Give the folder with `--config.data.source_options.path=DIR`.
    """
    config = config_lib.default()
    with config.unlocked():
        config.name = f"ranet_cifar{classes}_{model}"
        config.data.source_options.path = "cifar"
        # The published test split stays; of the rest, 5,000 images each
        # choose the checkpoint and fit the policy.
        config.data.fractions.test = 0.0
        config.model.classes = classes
        config.model.arguments = ml_collections.ConfigDict(
            {"channels": 16, "growth_rate": 6, **_CIFAR[model]}
        )
    return config


def imagenet(channels: int, name: str) -> ml_collections.ConfigDict:
    """A published ImageNet model, trained for 90 epochs."""
    config = config_lib.default()
    with config.unlocked():
        config.name = name
        config.data.source_options.path = "imagenet"
        config.data.size = 256
        config.data.shard_images = 1000
        config.data.fractions = ml_collections.ConfigDict(
            {"validation": 0.01, "calibration": 0.01, "test": 0.0}
        )
        config.model.size = 224
        config.model.classes = 1000
        config.model.arguments = ml_collections.ConfigDict(
            {
                "channels": channels,
                "growth_rate": 16,
                "step": 8,
                "step_mode": "even",
                "scales": (1, 2, 3, 4),
                "growth_factors": (4, 2, 2, 1),
                "bottleneck_factors": (4, 2, 2, 1),
                "stem": "imagenet",
                "head_width": None,
            }
        )
        config.train.epochs = 90
        config.train.milestones = (1 / 3, 2 / 3)
        config.train.augmentation = "resized_crop_flip"
        config.quantize.steps = 10000
    return config
