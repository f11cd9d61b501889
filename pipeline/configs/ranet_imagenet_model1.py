"""RANet for ImageNet, the published batch "model1"."""

from pipeline.configs import _ranet


def get_config():
    """The configuration."""
    return _ranet.imagenet(channels=32, name="ranet_imagenet_model1")
