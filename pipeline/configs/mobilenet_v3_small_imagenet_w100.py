"""MobileNetV3-Small for ImageNet."""

from pipeline.configs import _mobilenet


def get_config():
    """The configuration."""
    return _mobilenet.v3_imagenet(size="small", width=1.0)
