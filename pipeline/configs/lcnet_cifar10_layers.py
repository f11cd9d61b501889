"""LC-Net's L-Net alone, on ResNet-38 for CIFAR-10."""

from pipeline.configs import lcnet_cifar10


def get_config():
    """The configuration."""
    config = lcnet_cifar10.get_config()
    config.name = "lcnet_cifar10_layers"
    with config.model.arguments.unlocked():
        config.model.arguments.channels = None
    return config
