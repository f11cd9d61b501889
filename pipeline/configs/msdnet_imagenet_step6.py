"""MSDNet for ImageNet, the published model with 6 layers between exits."""

from pipeline.configs import _msdnet


def get_config():
    """The configuration."""
    return _msdnet.imagenet(step=6)
