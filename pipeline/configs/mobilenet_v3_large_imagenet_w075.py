"""MobileNetV3-Large for ImageNet, 0.75 times as wide."""

from pipeline.configs import _mobilenet


def get_config():
    """The configuration."""
    return _mobilenet.v3_imagenet(size="large", width=0.75)
