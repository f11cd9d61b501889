"""LC-Net's C-Net alone, on ResNet-38 for CIFAR-10."""

from pipeline.configs import lcnet_cifar10


def get_config():
    """The configuration."""
    config = lcnet_cifar10.get_config()
    config.name = "lcnet_cifar10_channels"
    config.model.arguments.layers = False
    return config
