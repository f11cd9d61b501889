"""MSDNet for CIFAR-100, the published batch model with 5 exits."""

from pipeline.configs import _msdnet


def get_config():
    """The configuration."""
    return _msdnet.cifar_batch(classes=100, blocks=5)
