"""MobileNetV2 for ImageNet, 1.4 times as wide."""

from pipeline.configs import _mobilenet


def get_config():
    """The configuration."""
    return _mobilenet.v2_imagenet(width=1.4)
