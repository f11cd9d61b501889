"""Configures a two-exit network on the digits that trains in seconds."""

import ml_collections

from pipeline.config import default


def get_config():
    config = default()
    with config.unlocked():
        config.name = "tiny"
        config.data.source = "digits"
        config.data.size = 8
        config.data.channels = 1
        config.data.shard_images = 500
        config.model.size = 8
        config.model.classes = 10
        config.model.arguments = ml_collections.ConfigDict(
            {
                "channels": 8,
                "growth_rate": 8,
                "step": 1,
                "scales": (1,),
                "growth_factors": (1,),
                "bottleneck_factors": (2,),
                "head_width": 16,
            }
        )
        config.train.epochs = 3
        config.train.batch_size = 64
        config.train.schedule = "cosine"
        config.train.augmentation = "shift"
        config.train.augmentation_options = ml_collections.ConfigDict(
            {"pixels": 1}
        )
        config.quantize.steps = 20
        config.quantize.learning_rate = 1e-3
        config.policy.rule = "accuracy_drop"
        config.check.max_points = 5.0
        config.benchmark.warmup = 2
        config.benchmark.runs = 20
        config.benchmark.starts = 1
    return config
