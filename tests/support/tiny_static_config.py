"""Configures a one-exit network on the digits that trains in seconds."""

import ml_collections

from pipeline.config import load


def get_config():
    config = load("resnet_digits")
    with config.unlocked():
        config.name = "tiny_static"
        config.data.size = 8
        config.model.size = 8
        config.model.arguments = ml_collections.ConfigDict(
            {"blocks": 1, "widths": (8, 16)}
        )
        config.train.epochs = 4
        config.quantize.steps = 20
        config.check.max_points = 5.0
        config.benchmark.warmup = 2
        config.benchmark.runs = 20
        config.benchmark.starts = 1
    return config
