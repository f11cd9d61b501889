"""VGG with three exits for CIFAR-100."""

from pipeline.configs import _vgg


def get_config():
    """The configuration."""
    return _vgg.cifar(classes=100)
