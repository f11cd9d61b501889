"""MobileNetV3-Small for CIFAR-10, half as wide."""

from pipeline.configs import _mobilenet


def get_config():
    """The configuration."""
    return _mobilenet.v3_cifar(classes=10, size="small", width=0.5)
