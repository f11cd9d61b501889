"""MSDNet for CIFAR-10, the published batch model with 8 exits."""

from pipeline.configs import _msdnet


def get_config():
    """The configuration."""
    return _msdnet.cifar_batch(classes=10, blocks=8)
