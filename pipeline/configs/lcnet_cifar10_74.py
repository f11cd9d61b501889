"""LC-Net on ResNet-74 for CIFAR-10."""

from pipeline.configs import _lcnet


def get_config():
    """The configuration."""
    return _lcnet.resnet_cifar10(74, name="lcnet_cifar10_74")
