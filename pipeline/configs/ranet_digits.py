"""A small RANet on scikit-learn's scanned digits: the demo.

The 8x8 scans are stored at 16x16, so that two sub-networks have resolutions
of 8 and 16 and every classifier ends on a 2x2 map.
"""

import ml_collections

from pipeline.config import default


def get_config():
    """The configuration."""
    config = default()
    with config.unlocked():
        config.name = "ranet_digits"
        config.data.source = "digits"
        config.data.size = 16
        config.data.channels = 1
        config.data.fractions = ml_collections.ConfigDict(
            {"validation": 0.05, "calibration": 0.2, "test": 0.2}
        )
        config.data.shard_images = 500
        config.model.size = 16
        config.model.classes = 10
        config.model.arguments = ml_collections.ConfigDict(
            {
                "channels": 12,
                "growth_rate": 12,
                "step": 2,
                "scales": (1, 2),
                "growth_factors": (1, 1),
                "bottleneck_factors": (2, 2),
                "head_width": 32,
            }
        )
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
        # One of some 380 calibration images is a quarter of a point: ask for
        # no loss there, to lose little on others.
        config.policy.max_drop_points = 0.0
    return config
