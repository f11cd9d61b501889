"""A small BasisNet on scikit-learn's scanned digits.

The same images and training as `ranet_digits`. The specialist is the backbone
of `resnet_digits`; the preview sees the scans at 8x8, as they are.
"""

import ml_collections

from pipeline.configs import ranet_digits


def get_config():
    """The configuration."""
    config = ranet_digits.get_config()
    with config.unlocked():
        config.name = "basisnet_digits"
        config.model.family = "basisnet"
        config.model.arguments = ml_collections.ConfigDict(
            {
                "preview": {
                    "family": "resnet",
                    "blocks": 1,
                    "widths": (8, 16),
                },
                "preview_size": 8,
                "specialist": {
                    "family": "resnet",
                    "blocks": 1,
                    "widths": (8, 16, 32),
                },
                "bases": 4,
                # In one XNNPACK partition, unlike the softmax.
                "activation": "sigmoid",
                "blend_steps": 100,
            }
        )
    return config
