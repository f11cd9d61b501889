"""RANet for ImageNet, the published anytime model (batch "model2")."""

from pipeline.configs import _ranet


def get_config():
    """The configuration."""
    return _ranet.imagenet(channels=64, name="ranet_imagenet_anytime")
