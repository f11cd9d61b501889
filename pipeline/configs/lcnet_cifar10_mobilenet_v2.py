"""LC-Net on MobileNetV2 for CIFAR-10."""

from pipeline.configs import _lcnet


def get_config():
    """The configuration."""
    return _lcnet.mobilenet_v2_cifar10(1.0, name="lcnet_cifar10_mobilenet_v2")
