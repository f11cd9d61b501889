"""LC-Net on ResNet-110 for CIFAR-10."""

from pipeline.configs import _lcnet


def get_config():
    """The configuration."""
    return _lcnet.resnet_cifar10(110, name="lcnet_cifar10_110")
