"""BasisNet for CIFAR-10: MobileNetV2 with eight bases."""

from pipeline.configs import _basisnet


def get_config():
    """The configuration."""
    return _basisnet.v2_cifar(10, bases=8, name="basisnet_v2_cifar10")
