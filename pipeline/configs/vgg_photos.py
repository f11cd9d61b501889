"""VGG with four exits for photographs in a folder, seen at 96 pixels.

`--config.data.source_options.path=DIR`; as many classes as it has directories.
"""

import ml_collections

from pipeline.config import default
from pipeline.configs import _vgg


def get_config():
    """The configuration."""
    config = _vgg.train_briefly(default())
    with config.unlocked():
        config.name = "vgg_photos"
        config.data.source_options.path = "photos"
        # Larger than the model's input: room for random crops.
        config.data.size = 112
        config.data.shard_images = 1000
        config.model.family = "vgg"
        config.model.size = 96
        config.model.arguments = ml_collections.ConfigDict(
            {
                "stem_width": 16,
                "stem_strides": 2,
                "widths": (24, 64, 128, 256),
                "depths": (1, 2, 2, 3),
                "residual": (3,),
            }
        )
        config.train.objective_arguments = ml_collections.ConfigDict(
            {"weights": (0.4, 0.6, 0.8, 1.0)}
        )
        # Photographs are few, as a rule.
        config.train.epochs = 60
        config.train.batch_size = 64
        config.train.average_decay = 0.99
        config.train.augmentation = "resized_crop_flip"
        config.train.augmentation_options = ml_collections.ConfigDict(
            {"scale": (0.35, 1.0)}
        )
        config.policy.rule = "budgeted_drop"
    return config
