"""ResNet-20 for CIFAR-10, half as wide."""

from pipeline.configs import _resnet


def get_config():
    """The configuration."""
    return _resnet.cifar(classes=10, depth=20, half=True)
