"""VGG with one exit for CIFAR-10, as wide as with exits."""

from pipeline.configs import _vgg


def get_config():
    """The configuration."""
    return _vgg.static_cifar(classes=10, width=1.0)
