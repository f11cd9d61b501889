"""MobileNetV3-Large for CIFAR-10."""

from pipeline.configs import _mobilenet


def get_config():
    """The configuration."""
    return _mobilenet.v3_cifar(classes=10, size="large", width=1.0)
