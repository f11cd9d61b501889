"""Configures a classifier of photographs: a pretrained network with exits.

It is for a few hundred to some ten thousand photographs in a folder, too few to
train a network on from nothing.
"""

import ml_collections

from pipeline.config.schema import default

# What a stored photograph has beyond the model's input: room for random crops.
_ROOM = 1.15
# At 0.41, 0.63 and 0.81 of the multiply-adds: earlier ones know too little of
# what ImageNet has taught.
_PLACES = ("stage3_block2_add", "stage4_block2_add", "stage5_block2_add")


def photos() -> ml_collections.ConfigDict:
    """Configures four exits, for photographs seen at 160 pixels.

    The folder is given by `--config.data.source_options.path=DIR`; there are as
    many classes as it has directories. From 96 to 224 pixels are sensible; the
    stored size, `data.size`, goes with `model.size`.
    """
    config = default()
    with config.unlocked():
        config.data.source_options.path = "photos"
        config.data.shard_images = 1000
        config.model.family = "efficientnet_lite"
        config.model.size = 160
        config.data.size = round(_ROOM * config.model.size)
        config.model.arguments = ml_collections.ConfigDict(
            {"variant": 0, "at": _PLACES, "head": "conv1"}
            | {"weights": "imagenet"}
        )
        config.data.fractions.validation = 0.05
    return _tune(config)


def _tune(config):
    """Sets the training: the exits first, then all layers at a low rate."""
    config.train.batch_size = 32
    config.train.optimizer = "adamw"
    config.train.learning_rate = 6e-4
    config.train.schedule = "linear"
    config.train.weight_decay = 0.05
    config.train.weight_decay_on = "kernels"
    config.train.label_smoothing = 0.1
    config.train.average_decay = 0.99
    config.train.augmentation = "resized_crop_flip"
    config.train.augmentation_options = ml_collections.ConfigDict(
        {"scale": (0.35, 1.0)}
    )
    config.train.stages = (
        {
            "freeze": "backbone",
            "epochs": 6,
            "learning_rate": 3e-3,
            "augmentation": "flip",
        },
        {"epochs": 10},
    )
    # The rate ends at zero, and the weights are averaged.
    config.train.select = "last"
    # A scale per channel in depthwise kernels, too.
    config.quantize.method = "keras"
    config.quantize.steps = 100
    config.quantize.batch_size = 32
    return config


CONFIGS = {"photos": photos}
