"""A small VGG with exits on scikit-learn's scanned digits.

The images of `ranet_digits`, and the recipe of `vgg_cifar10` but for the
mirroring.
"""

import ml_collections

from pipeline.configs import _vgg, ranet_digits


def get_config():
    """The configuration."""
    config = _vgg.train_briefly(ranet_digits.get_config())
    with config.unlocked():
        config.name = "vgg_digits"
        config.model.family = "vgg"
        config.model.arguments = ml_collections.ConfigDict(
            {
                "stem_width": 8,
                "widths": (16, 48, 96),
                "depths": (1, 2, 3),
                "residual": (2,),
                "head_width": 16,
            }
        )
        config.train.objective_arguments = ml_collections.ConfigDict(
            {"weights": (0.4, 0.7, 1.0)}
        )
        # 16 steps an epoch: an average over fewer of them.
        config.train.batch_size = 64
        config.train.average_decay = 0.95
        # Mirrored digits are other digits: shift, do not flip.
        config.train.augmentation_options = ml_collections.ConfigDict(
            {"pixels": 1}
        )
    return config
