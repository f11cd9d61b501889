"""VGG with one exit for CIFAR-100, 0.375 times as wide."""

from pipeline.configs import _vgg


def get_config():
    """The configuration."""
    return _vgg.static_cifar(classes=100, width=0.375)
