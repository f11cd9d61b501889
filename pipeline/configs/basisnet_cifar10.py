"""BasisNet for CIFAR-10: MobileNetV3-Small with eight bases."""

from pipeline.configs import _basisnet


def get_config():
    """The configuration."""
    return _basisnet.v3_cifar(10, bases=8, name="basisnet_cifar10")
