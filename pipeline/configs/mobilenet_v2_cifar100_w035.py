"""MobileNetV2 for CIFAR-100, 0.35 times as wide."""

from pipeline.configs import _mobilenet


def get_config():
    """The configuration."""
    return _mobilenet.v2_cifar(classes=100, width=0.35)
