"""VGG with one exit for CIFAR-10, 0.5 times as wide."""

from pipeline.configs import _vgg


def get_config():
    """The configuration."""
    return _vgg.static_cifar(classes=10, width=0.5)
