"""Configures EfficientNet-Lite on ImageNet: static networks, from nothing.

They are trained like the other networks here, not as their authors did; what
starts from their weights is `photos`.
"""

import functools

import ml_collections

from pipeline.config.families import datasets

# The authors' pixels, by variant.
_PIXELS = (224, 240, 260, 280, 300)


def imagenet(variant: int) -> ml_collections.ConfigDict:
    """Configures a published EfficientNet-Lite."""
    config = datasets.imagenet("efficientnet_lite", {"variant": variant})
    config.model.size = _PIXELS[variant]
    # The share of 256 for 224.
    config.data.size = round(_PIXELS[variant] * 256 / 224)
    return config


CONFIGS = {
    f"efficientnet_lite{variant}_imagenet": functools.partial(imagenet, variant)
    for variant in range(len(_PIXELS))
}
