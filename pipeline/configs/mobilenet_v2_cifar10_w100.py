"""MobileNetV2 for CIFAR-10."""

from pipeline.configs import _mobilenet


def get_config():
    """The configuration."""
    return _mobilenet.v2_cifar(classes=10, width=1.0)
