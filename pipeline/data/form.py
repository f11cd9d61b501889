"""Makes the form in which images are stored: raw pixels, or encoded files."""

import dataclasses
import io

import numpy as np

from pipeline.data import image
from pipeline.data.image import Rules

_JPEG_QUALITY = 95


@dataclasses.dataclass(frozen=True)
class Stored:
    """Holds one image as it will be stored.

    Attributes:
        pixels: uint8 [size, size, channels].
        height: Height of the image as it came.
        width: Width of the image as it came.
        raw: The pixels' bytes, or None.
        encoded: A JPEG or PNG file, or None.
        format: Format of the file, "jpeg" or "png".
    """

    pixels: np.ndarray
    height: int
    width: int
    raw: bytes | None = None
    encoded: bytes | None = None
    format: str = ""


@dataclasses.dataclass(frozen=True)
class Form:
    """Tells how images are stored, and which are accepted.

    Attributes:
        size: Height and width.
        channels: 1 for grey, 3 for RGB.
        encoded: Whether to store JPEG and PNG files instead of pixels.
        rules: Rules that an image must obey.
    """

    size: int
    channels: int
    encoded: bool
    rules: Rules

    def apply(self, content: bytes | np.ndarray) -> Stored:
        """Decodes, checks and fits one image.

        A file that already has the size and the channels is kept byte for
        byte; others are encoded again after fitting, a JPEG as a JPEG of
        quality 95, all else as PNG.

        Args:
            content: A whole file of one of `image.FORMATS`, or pixels, uint8
                [H, W] or [H, W, C].

        Raises:
            BadImage: If it cannot be used.
        """
        file, format = None, "png"
        if isinstance(content, bytes):
            pixels = image.plain_jpeg(content, self.rules)
            file, format = content, "jpeg"
        else:
            pixels = content
            mode = "RGB" if content.shape[2:] == (3,) else "L"
            self.rules.check(content.shape[1], content.shape[0], mode)
        if pixels is not None and pixels.shape == self._shape:
            return self._stored(pixels, pixels.shape[:2], file, format)
        if pixels is not None:
            decoded = image.from_pixels(pixels)
        else:
            decoded = image.with_pillow(content, self.rules)
            # Pillow calls a JPEG of several pictures "MPO".
            if decoded.format not in ("JPEG", "MPO"):
                format = "png"
        mode = "L" if self.channels == 1 else "RGB"
        as_it_is = decoded.format, decoded.size, decoded.mode
        if as_it_is != (format.upper(), (self.size, self.size), mode):
            file = None
        width, height = decoded.size
        pixels = image.fit(decoded, self.size, self.channels)
        return self._stored(pixels, (height, width), file, format)

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.size, self.size, self.channels

    def _stored(
        self,
        pixels: np.ndarray,
        size: tuple[int, int],
        file: bytes | None,
        format: str,
    ) -> Stored:
        """Returns the image to store: pixels, the given file, or a new one."""
        height, width = size
        if not self.encoded:
            return Stored(pixels, height, width, raw=pixels.tobytes())
        data = file or _encode(pixels, format)
        return Stored(pixels, height, width, encoded=data, format=format)


def _encode(pixels: np.ndarray, format: str) -> bytes:
    file = io.BytesIO()
    options = {"quality": _JPEG_QUALITY} if format == "jpeg" else {}
    image.from_pixels(pixels).save(file, format, **options)
    return file.getvalue()
