"""MobileNetV2 for ImageNet, 0.5 times as wide."""

from pipeline.configs import _mobilenet


def get_config():
    """The configuration."""
    return _mobilenet.v2_imagenet(width=0.5)
