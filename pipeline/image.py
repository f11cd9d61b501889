"""From the bytes of an image file to pixels of a fixed size."""

import io
import re

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError


class BadImage(ValueError):
    """An image that cannot be used; the message is the reason to record."""


def decode(data: bytes) -> Image.Image:
    """Decodes a whole JPEG or PNG file and turns it upright.

    Only decoding every pixel finds truncated and damaged files; a JPEG has no
    checksum, so damage that still decodes cannot be found.

    Raises:
        BadImage: The bytes are no JPEG or PNG, or are damaged. The reason is
            the same in every process.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
        # Decodes the pixels, too: an image is loaded before it is turned.
        ImageOps.exif_transpose(image, in_place=True)
    except UnidentifiedImageError as error:
        raise BadImage("not a JPEG or PNG image") from error
    # Pillow lets through whatever its parsers stumble over: OSError,
    # SyntaxError, struct.error, zlib.error and more.
    except Exception as error:
        reason = re.sub(r" at 0x[0-9a-f]+", "", str(error))
        raise BadImage(f"{type(error).__name__}: {reason}") from error
    return image


def fit(image: Image.Image, size: int, channels: int) -> np.ndarray:
    """Scales an image to cover size x size and crops what sticks out.

    Bilinear, with Pillow's antialiasing when the image shrinks; the crop is
    centred. Any mode is converted to grey (1 channel) or RGB (3); an alpha
    channel is dropped, 16 bits are cut to the upper 8.

    Returns:
        uint8 [size, size, channels].
    """
    if image.mode.startswith("I;16"):  # Pillow would clip instead of scale.
        upper = np.asarray(image) >> 8
        image = Image.fromarray(upper.astype(np.uint8))
    if image.mode == "P":  # Palettes with transparency warn otherwise.
        image = image.convert("RGBA")
    image = image.convert("L" if channels == 1 else "RGB")
    image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(size, size, channels)
