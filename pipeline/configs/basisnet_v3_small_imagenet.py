"""BasisNet for ImageNet: MobileNetV3-Small with eight bases."""

from pipeline.configs import _basisnet


def get_config():
    """The configuration."""
    return _basisnet.v3_imagenet(
        "small", bases=8, name="basisnet_v3_small_imagenet"
    )
