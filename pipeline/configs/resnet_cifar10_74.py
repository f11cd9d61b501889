"""ResNet-74 for CIFAR-10."""

from pipeline.configs import _resnet


def get_config():
    """The configuration."""
    return _resnet.cifar(classes=10, depth=74)
