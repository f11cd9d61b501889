"""A small ResNet on scikit-learn's scanned digits, beside `ranet_digits`.

The same images and training, and one exit.
"""

import ml_collections

from pipeline.configs import ranet_digits


def get_config():
    """The configuration."""
    config = ranet_digits.get_config()
    with config.unlocked():
        config.name = "resnet_digits"
        config.model.family = "resnet"
        config.model.arguments = ml_collections.ConfigDict(
            {"blocks": 1, "widths": (8, 16, 32)}
        )
    return config
