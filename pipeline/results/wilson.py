"""Says what a share of some images tells of the share of all images."""

import math

# Of the normal distribution, 95 % lie so many deviations around its mean.
_DEVIATIONS = 1.959963984540054


def interval(share: float, images: int) -> tuple[float, float]:
    """Returns the ends of Wilson's interval of a share, at 95 %.

    Of many samples of so many images, 95 in 100 have the share of all images
    in it. It stays within [0, 1], also around a share of 0 or 1.

    Args:
        share: Share of the images, such as those that are answered rightly.
        images: Number of the images, at least 1.

    Raises:
        ValueError: If there are no images.
    """
    if images < 1:
        raise ValueError(f"`images` must be at least 1. Received: {images}")
    squared = _DEVIATIONS**2 / images
    middle = share + squared / 2
    room = _DEVIATIONS * math.sqrt(
        share * (1 - share) / images + squared / (4 * images)
    )
    low, high = ((middle + side * room) / (1 + squared) for side in (-1, 1))
    return max(0.0, low), min(1.0, high)
