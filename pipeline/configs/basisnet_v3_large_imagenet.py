"""BasisNet for ImageNet: MobileNetV3-Large with 16 bases."""

from pipeline.configs import _basisnet


def get_config():
    """The configuration."""
    return _basisnet.v3_imagenet(
        "large", bases=16, name="basisnet_v3_large_imagenet"
    )
