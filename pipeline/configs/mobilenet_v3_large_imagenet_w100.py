"""MobileNetV3-Large for ImageNet."""

from pipeline.configs import _mobilenet


def get_config():
    """The configuration."""
    return _mobilenet.v3_imagenet(size="large", width=1.0)
