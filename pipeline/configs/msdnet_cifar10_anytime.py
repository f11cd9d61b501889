"""MSDNet for CIFAR-10, the published "anytime" model."""

from pipeline.configs import _msdnet


def get_config():
    """The configuration."""
    return _msdnet.cifar_anytime(classes=10)
