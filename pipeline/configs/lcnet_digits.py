"""A small LC-Net on scikit-learn's scanned digits, beside `ranet_digits`.

The same images and training, and gates in a ResNet with one early exit.
"""

import ml_collections

from pipeline.configs import ranet_digits


def get_config():
    """The configuration."""
    config = ranet_digits.get_config()
    with config.unlocked():
        config.name = "lcnet_digits"
        config.model.family = "lcnet"
        config.model.arguments = ml_collections.ConfigDict(
            {
                "backbone": {
                    "family": "resnet",
                    "blocks": 2,
                    "widths": (8, 16, 32),
                },
                "layers": True,
                "channels": "groups",
                "groups": 2,
                "exits": (1,),
                "head_width": 16,
                # A third of 30 epochs of 15 batches.
                "annealing_steps": 150,
            }
        )
        config.train.objective = "cost_target"
        config.train.objective_arguments = ml_collections.ConfigDict(
            {"target": 0.6}
        )
    return config
