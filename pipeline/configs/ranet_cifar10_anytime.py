"""RANet for CIFAR-10, the published "anytime" model."""

from pipeline.configs import _ranet


def get_config():
    """The configuration."""
    return _ranet.cifar(classes=10, model="anytime")
