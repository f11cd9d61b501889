"""Turns a photograph into the pixels that a bundle's first segment takes.

It does what preparing the images and cropping them for evaluation did with the
images that the bundle was measured on. It needs Pillow and simplejpeg, the
extra `images`.
"""

import numpy as np

from pipeline.data import image
from tflite.bundle import InputFacts


def pixels_for(photo: bytes | np.ndarray, facts: InputFacts) -> np.ndarray:
    """Turns upright, scales and crops a photograph as `facts.fit` says.

    Args:
        photo: A whole file of one of `image.FORMATS`; or pixels, upright,
            uint8 [H, W] or [H, W, C] of any size. Of 2 or 4 channels the last
            one, alpha, is dropped; grey becomes RGB, and RGB grey, as the input
            wants it.
        facts: The `input` of a bundle.

    Returns:
        uint8 [height, width, channels], of `facts.shape`.

    Raises:
        image.BadImage: If the file is of no such format, is damaged, or has
            more pixels than `image.Rules` allow.
        ValueError: If `photo` is neither bytes nor such pixels.
    """
    if isinstance(photo, bytes):
        upright = image.decode(photo)
    else:
        _check(photo)
        upright = image.from_pixels(photo)
    height, width, channels = facts.shape
    stored = image.fit(upright, facts.fit.stored_size, channels)
    return image.centre(stored, height, width)


def _check(photo: object) -> None:
    is_array = isinstance(photo, np.ndarray)
    if (
        not is_array
        or photo.dtype != np.uint8
        or photo.ndim not in (2, 3)
        or photo.shape[2:] not in ((), (1,), (2,), (3,), (4,))
        or not photo.size
    ):
        received = f"{photo.dtype} {photo.shape}" if is_array else type(photo)
        raise ValueError(
            "`photo` must be the bytes of a file, or uint8 pixels [H, W] or "
            f"[H, W, C], C from 1 to 4. Received: {received}"
        )
