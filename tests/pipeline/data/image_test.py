import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.data import image

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 60, 3), np.uint8)


def encoded(picture, format="PNG", **options):
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def test_images_of_the_right_size_are_unchanged():
    pixels = PIXELS[:40, :40]
    decoded = image.decode(encoded(Image.fromarray(pixels)))
    np.testing.assert_array_equal(image.fit(decoded, 40, 3), pixels)


def test_crops_the_centre():
    picture = Image.fromarray(PIXELS)
    np.testing.assert_array_equal(image.fit(picture, 40, 3), PIXELS[:, 10:50])
    np.testing.assert_array_equal(
        image.fit(picture.rotate(90, expand=True), 40, 3),
        np.rot90(PIXELS)[10:50],
    )


def test_shrinks_with_antialiasing():
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    result = image.fit(Image.fromarray(stripes), 16, 1)[:, 1:-1]
    assert result.min() > 120
    assert result.max() < 135


def test_enlarges_bilinearly():
    """Half-pixel centres: 8 -> 16 weighs two neighbours by 1/4 and 3/4."""
    values = np.arange(0, 240, 30, dtype=np.uint8)
    result = image.fit(Image.fromarray(np.tile(values, (8, 1))), 16, 1)
    positions = (np.arange(16) + 0.5) / 2 - 0.5
    expected = np.interp(positions, np.arange(8), values)
    np.testing.assert_allclose(result[5, :, 0], expected, atol=0.5)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_modes(mode, channels):
    grey = np.full((9, 7), 255, np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(np.full((9, 7), 0xFFFF, np.uint16))
    else:
        picture = Image.fromarray(grey).convert(mode)
    decoded = image.decode(encoded(picture))
    result = image.fit(decoded, 5, channels)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, np.full((5, 5, channels), 255))


def test_sixteen_bits_are_scaled():
    levels = np.linspace(0, 0xFFFF, 64).astype(np.uint16).reshape(8, 8)
    result = image.fit(image.decode(encoded(Image.fromarray(levels))), 8, 1)
    np.testing.assert_array_equal(result[..., 0], levels >> 8)


def test_alpha_is_dropped():
    pixels = PIXELS[:8, :8]
    alpha = Image.fromarray(RNG.integers(0, 256, (8, 8), np.uint8))
    picture = Image.fromarray(pixels)
    picture.putalpha(alpha)
    result = image.fit(image.decode(encoded(picture)), 8, 3)
    np.testing.assert_array_equal(result, pixels)


@pytest.mark.filterwarnings("error")
def test_palette_with_transparency():
    picture = Image.fromarray(np.eye(8, dtype=np.uint8), "P")
    picture.putpalette([255, 0, 0, 0, 0, 255])
    data = encoded(picture, transparency=bytes([0, 128]))
    result = image.fit(image.decode(data), 8, 3)
    assert result[0, 0].tolist() == [0, 0, 255]
    assert result[0, 1].tolist() == [255, 0, 0]


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_modes(mode):
    picture = Image.new("RGB", (16, 16), (250, 10, 20)).convert(mode)
    result = image.fit(image.decode(encoded(picture, "JPEG")), 8, 3)
    expected = picture.convert("RGB").getpixel((0, 0))
    np.testing.assert_allclose(result[4, 4], expected, atol=4)


def test_photographs_are_turned_upright():
    picture = Image.fromarray(PIXELS)
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turned by 90 degrees.
    data = encoded(picture, exif=exif)
    np.testing.assert_array_equal(
        np.asarray(image.decode(data)), np.rot90(PIXELS, -1)
    )


TURNED = Image.Exif()
TURNED[0x0112] = 6
JPEG = encoded(Image.fromarray(PIXELS), "JPEG")
PNG = encoded(Image.fromarray(PIXELS))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image at all",
        JPEG[:10],
        JPEG[: len(JPEG) // 2],
        JPEG[:-3],
        PNG[: len(PNG) // 2],
        encoded(Image.fromarray(PIXELS), "ICO"),
        encoded(Image.fromarray(PIXELS), "WEBP")[:-40],
        encoded(Image.fromarray(PIXELS), "TIFF")[:900],
        encoded(Image.fromarray(PIXELS), "GIF")[:900],
        encoded(Image.fromarray(PIXELS), "BMP")[:900],
        encoded(Image.fromarray(PIXELS[..., 0].astype(np.float32)), "TIFF"),
        encoded(Image.fromarray(PIXELS).convert("LAB"), "TIFF"),
        PNG[:60] + bytes([PNG[60] ^ 0x55]) + PNG[61:],
    ],
)
def test_bad_images_give_the_same_reason_twice(data):
    reasons = []
    for _ in range(2):
        with pytest.raises(image.BadImage) as error:
            image.decode(data)
        reasons.append(str(error.value))
    assert reasons[0] == reasons[1]
    assert "0x" not in reasons[0]


@given(
    st.integers(0, 2),
    st.booleans(),
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(20, 100),
)
def test_both_decoders_give_the_same_pixels(
    subsampling, progressive, height, width, quality
):
    rng = np.random.default_rng(height * width)
    noise = rng.integers(0, 256, (height, width, 3), np.uint8)
    data = encoded(
        Image.fromarray(noise),
        "JPEG",
        subsampling=subsampling,
        progressive=progressive,
        quality=quality,
    )
    fast = image.plain_jpeg(data)
    np.testing.assert_array_equal(fast, np.asarray(image.decode(data)))


@pytest.mark.parametrize(
    "data",
    [
        PNG,
        b"",
        JPEG[: len(JPEG) // 2],
        encoded(Image.fromarray(PIXELS).convert("L"), "JPEG"),
        encoded(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"),
        encoded(Image.fromarray(PIXELS), "JPEG", exif=TURNED),
    ],
)
def test_what_is_not_plain_is_left_to_pillow(data):
    assert image.plain_jpeg(data) is None


@pytest.mark.parametrize("format", image.FORMATS)
@pytest.mark.filterwarnings("ignore")  # Pillow warns of odd TIFFs.
def test_flipped_bits_give_an_image_or_a_reason(format):
    """Not all damage can be found, but none may crash."""
    whole = encoded(Image.fromarray(PIXELS), format)
    found = 0
    # Of what holds pixels one by one, the header is what can be wrong.
    for position in range(2, min(len(whole), 1500), 7):
        data = bytearray(whole)
        data[position] ^= 0x55
        try:
            assert image.fit(image.decode(bytes(data)), 5, 3).any()
        except image.BadImage:
            found += 1
    assert found > 1


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (image.Rules(min_side=41), "too small: 60 x 40, at least 41 x 41"),
        (image.Rules(max_pixels=2399), "too large: 60 x 40, at most 2399"),
        (image.Rules(modes=("L", "1")), "wrong mode: RGB, accepted are L, 1"),
    ],
)
def test_rules(rules, reason):
    for decode, data in ((image.decode, PNG), (image.plain_jpeg, JPEG)):
        with pytest.raises(image.BadImage, match=reason):
            decode(data, rules)
    image.decode(PNG, image.Rules(40, 2400, ("RGB",)))


def test_a_header_that_claims_too_much_is_not_decoded():
    """Pillow alone would take 12 GB for it, or warn."""
    data = bytearray(PNG)
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(image.BadImage, match=r"too large: more than"):
        image.decode(bytes(data))


@pytest.mark.parametrize("format", image.FORMATS)
def test_every_format_can_be_refused(format):
    picture = Image.fromarray(PIXELS)
    data = encoded(picture, format, **{"lossless": True})
    assert image.decode(data).size == (60, 40)
    others = tuple(each for each in image.FORMATS if each != format)
    with pytest.raises(image.BadImage, match=f"a {format} image, accepted"):
        image.decode(data, image.Rules(formats=others))


@pytest.mark.parametrize("format", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_pictures_the_first_is_read(format):
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8))
    data = encoded(
        first, format, save_all=True, append_images=[second], lossless=True
    )
    pixels = image.fit(image.decode(data), 8, 3)
    np.testing.assert_array_equal(pixels[4, 4], [255, 0, 0])


@pytest.mark.parametrize(
    ("begin", "hint"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC or AVIF, convert"),
        (b"\0\0\0\x18ftypavif", "HEIC or AVIF, convert"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"PK\3\4", "zip"),
        (b"<html><body>", "a page"),
        (b"", "an empty file"),
    ],
)
def test_well_known_other_files_are_named(begin, hint):
    with pytest.raises(image.BadImage, match=f"not an image.*{hint}"):
        image.decode(begin + bytes(64) if begin else b"")
