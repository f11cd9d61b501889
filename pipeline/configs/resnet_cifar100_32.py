"""ResNet-32 for CIFAR-100."""

from pipeline.configs import _resnet


def get_config():
    """The configuration."""
    return _resnet.cifar(classes=100, depth=32)
