"""Decodes the bytes of an image file, and fits the pixels to a fixed size."""

import dataclasses
import io
import re
import warnings

import numpy as np
import simplejpeg
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from pipeline.data import file_kind

# No file of an image is larger, in bytes: it is read whole.
MAX_BYTES = 64 << 20

# Formats that are read, by Pillow's names; of several pictures the first.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")

# Modes of Pillow that `fit` can convert; others, such as "F", have no levels
# of which it is known what is white.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX")
_MODES += ("CMYK", "YCbCr", "I;16", "I;16L", "I;16B", "I;16N")

# Pillow turns an image by it, if the EXIF data has no orientation.
_TURNED = re.compile(rb'tiff:Orientation(="|>)[2-8]')

# Pillow warns of what `Rules` decide on.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class BadImage(ValueError):
    """Says why an image cannot be used; the message is recorded as reason."""


@dataclasses.dataclass(frozen=True)
class Rules:
    """Holds the rules that an image must obey to be used.

    Attributes:
        min_side: Least height and width.
        max_pixels: Largest height times width: a small file can hold an image
            that fills the memory. 64 million are a 64-megapixel photo, 192 MB
            when decoded.
        modes: Accepted Pillow modes, such as ("RGB", "L"); empty to accept all,
            which are converted.
        formats: Accepted formats of files, some of `FORMATS`.
    """

    min_side: int = 1
    max_pixels: int = 64_000_000
    modes: tuple[str, ...] = ()
    formats: tuple[str, ...] = FORMATS

    def check(self, width: int, height: int, mode: str) -> None:
        """Raises BadImage unless an image, not yet decoded, may be used."""
        if min(width, height) < self.min_side:
            raise BadImage(
                f"too small: {width} x {height}, at least "
                f"{self.min_side} x {self.min_side} are wanted"
            )
        if width * height > self.max_pixels:
            raise BadImage(
                f"too large: {width} x {height}, at most {self.max_pixels} "
                "pixels are accepted"
            )
        if self.modes and mode not in self.modes:
            raise BadImage(
                f"wrong mode: {mode}, accepted are {', '.join(self.modes)}"
            )


def decode(data: bytes, rules: Rules = Rules()) -> Image.Image:
    """Decodes a whole file of one of `FORMATS` and turns it upright.

    The image is turned as Pillow's `ImageOps.exif_transpose` turns it: by the
    orientation in EXIF or, where EXIF has none, in XMP. A colour profile is not
    applied.

    Raises:
        BadImage: The bytes are of no such format, are damaged, or the image
            is not what `rules` want. The reason is the same in every process.
    """
    plain = plain_jpeg(data, rules)
    return with_pillow(data, rules) if plain is None else from_pixels(plain)


def with_pillow(data: bytes, rules: Rules = Rules()) -> Image.Image:
    """Decodes any file that `decode` takes, plain JPEGs among them.

    Only decoding every pixel finds truncated and damaged files; a JPEG has no
    checksum, so damage that still decodes cannot be found.

    Returns:
        The image; its `format` is None if it had to be turned.

    Raises:
        BadImage: The bytes are of no such format, are damaged, or the image
            is not what `rules` want. The reason is the same in every process.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        # Pillow calls a JPEG of several pictures "MPO".
        format = "JPEG" if image.format == "MPO" else image.format
        if format not in rules.formats:
            raise BadImage(
                f"a {format} image, accepted are {', '.join(rules.formats)}"
            )
        rules.check(*image.size, image.mode)
        image.load()
        if image.mode not in _MODES:
            raise BadImage(f"pixels of an unusual mode: {image.mode}")
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            image = ImageOps.exif_transpose(image)
    except UnidentifiedImageError as error:
        raise BadImage(file_kind.no_image(data)) from error
    except Image.DecompressionBombError as error:
        limit = 2 * Image.MAX_IMAGE_PIXELS
        raise BadImage(f"too large: more than {limit} pixels") from error
    except BadImage:
        raise
    # Pillow lets through whatever its parsers stumble over: OSError,
    # SyntaxError, struct.error, zlib.error and more.
    except Exception as error:
        reason = re.sub(r" at 0x[0-9a-f]+", "", str(error))
        raise BadImage(f"{type(error).__name__}: {reason}") from error
    return image


def plain_jpeg(data: bytes, rules: Rules = Rules()) -> np.ndarray | None:
    """Decodes an ordinary JPEG file, several times faster than Pillow.

    The pixels are the same: both use libjpeg-turbo. Pillow takes long because
    it reads the markers one by one in Python.

    Returns:
        uint8 [H, W, 3], or None for files that Pillow must look at: other files
        and colour spaces, those that may have to be turned, and damaged ones.

    Raises:
        BadImage: The image is not what `rules` want.
    """
    if not data.startswith(b"\xff\xd8") or "JPEG" not in rules.formats:
        return None
    if _may_be_turned(data):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours != "YCbCr":
            return None
        rules.check(width, height, "RGB")
        return simplejpeg.decode_jpeg(data, strict=True)
    except BadImage:
        raise
    except ValueError:
        return None


def pixels(data: bytes) -> np.ndarray:
    """Decodes a whole file of one of `FORMATS` to uint8 [H, W] or [H, W, C].

    Raises:
        BadImage: The bytes are of no such format, are damaged, or the image
            is not what `Rules()` want. The reason is the same in every process.
    """
    plain = plain_jpeg(data)
    return np.asarray(with_pillow(data)) if plain is None else plain


def _may_be_turned(data: bytes) -> bool:
    """Tells whether a JPEG file has an orientation; libjpeg looks for none."""
    if b"Exif\0\0" in data:
        return True
    # A search for the pattern alone takes as long as to decode a photograph.
    return b"tiff:Orientation" in data and _TURNED.search(data) is not None


def from_pixels(pixels: np.ndarray) -> Image.Image:
    """Returns an image made of uint8 [H, W] or [H, W, C], C up to 4.

    Two channels are grey and alpha, four are RGB and alpha.
    """
    return Image.fromarray(
        pixels[..., 0] if pixels.shape[2:] == (1,) else pixels
    )


def fit(image: Image.Image, size: int, channels: int) -> np.ndarray:
    """Scales an image to cover size x size and crops what sticks out.

    Scaling is bilinear, with Pillow's antialiasing when the image shrinks; the
    crop is centred. Any mode is converted to grey (1 channel) or RGB (3); an
    alpha channel is dropped, 16 bits are cut to the upper 8.

    Returns:
        uint8 [size, size, channels].
    """
    if image.mode.startswith("I;16"):  # Pillow would clip instead of scale.
        upper = np.asarray(image) >> 8
        image = Image.fromarray(upper.astype(np.uint8))
    if image.mode == "P":  # Palettes with transparency warn otherwise.
        image = image.convert("RGBA")
    mode = "L" if channels == 1 else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(size, size, channels)


def centre(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cuts the centre out of uint8 [..., H, W, C], without copying it.

    If the rest is odd, its larger half is cut at the bottom and at the right.
    """
    top = (pixels.shape[-3] - height) // 2
    left = (pixels.shape[-2] - width) // 2
    return pixels[..., top : top + height, left : left + width, :]
