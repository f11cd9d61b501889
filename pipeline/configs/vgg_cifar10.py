"""VGG with three exits for CIFAR-10."""

from pipeline.configs import _vgg


def get_config():
    """The configuration."""
    return _vgg.cifar(classes=10)
