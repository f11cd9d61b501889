"""Configures the tiny network for so few steps that rounding grows little."""

import pathlib

import ml_collections

from pipeline.config import load


def get_config():
    tiny = pathlib.Path(__file__).with_name("tiny_config.py")
    config = load(str(tiny))
    with config.unlocked():
        config.name = "golden"
        config.data.source = "synthetic"
        config.data.source_options = ml_collections.ConfigDict(
            {
                "images": 600,
                "size": 10,
                "channels": 1,
                "encoding": "png",
                "duplicates": 0.05,
                "damaged": 0.01,
            }
        )
        config.data.max_rejected = 0.1
        config.data.duplicates = "drop"
        config.data.shard_images = 300
        config.train.epochs = 1
        config.quantize.steps = 1
        config.quantize.learning_rate = 0.05
        config.check.max_points = 100.0
        config.benchmark.runs = 2
    return config
