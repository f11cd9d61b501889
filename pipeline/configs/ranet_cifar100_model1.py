"""RANet for CIFAR-100, the published "model1" model."""

from pipeline.configs import _ranet


def get_config():
    """The configuration."""
    return _ranet.cifar(classes=100, model="model1")
