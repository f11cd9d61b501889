"""MobileNetV2 for ImageNet."""

from pipeline.configs import _mobilenet


def get_config():
    """The configuration."""
    return _mobilenet.v2_imagenet(width=1.0)
