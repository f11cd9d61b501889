"""MobileNetV3-Large for CIFAR-100."""

from pipeline.configs import _mobilenet


def get_config():
    """The configuration."""
    return _mobilenet.v3_cifar(classes=100, size="large", width=1.0)
