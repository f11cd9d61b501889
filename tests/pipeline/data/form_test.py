import io

import numpy as np
import pytest
from PIL import Image

from pipeline.data.form import Form
from pipeline.data.image import BadImage, Rules

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (8, 8, 3), np.uint8)
RAW = Form(8, 3, encoded=False, rules=Rules())
ENCODED = Form(8, 3, encoded=True, rules=Rules())


def file(picture, format="PNG", **options):
    written = io.BytesIO()
    picture.save(written, format, **options)
    return written.getvalue()


def opened(stored):
    return Image.open(io.BytesIO(stored.encoded))


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_file_that_fits_is_kept(format):
    data = file(Image.fromarray(PIXELS), format)
    stored = ENCODED.apply(data)
    assert stored.encoded == data
    assert stored.format == format.lower()
    np.testing.assert_array_equal(stored.pixels, np.asarray(opened(stored)))


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(PIXELS).resize((16, 12)),
        Image.fromarray(PIXELS).convert("L"),
        Image.fromarray(PIXELS).convert("RGBA"),
    ],
)
def test_others_are_fitted_and_encoded_again(picture):
    stored = ENCODED.apply(file(picture))
    assert stored.format == "png"
    assert opened(stored).size == (8, 8)
    assert opened(stored).mode == "RGB"
    np.testing.assert_array_equal(np.asarray(opened(stored)), stored.pixels)
    assert (stored.width, stored.height) == picture.size


def test_a_jpeg_stays_one():
    stored = ENCODED.apply(file(Image.new("RGB", (20, 10), "red"), "JPEG"))
    assert stored.format == opened(stored).format.lower() == "jpeg"
    np.testing.assert_allclose(
        np.asarray(opened(stored)), stored.pixels, atol=3
    )


def test_a_turned_photograph_is_stored_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = file(Image.fromarray(PIXELS), exif=exif)
    stored = ENCODED.apply(data)
    assert stored.encoded != data
    np.testing.assert_array_equal(
        np.asarray(opened(stored)), np.rot90(PIXELS, -1)
    )


@pytest.mark.parametrize("form", [RAW, ENCODED])
@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[..., 0], PIXELS[..., :1]])
def test_pixels_are_stored_exactly(form, pixels):
    stored = form.apply(pixels)
    expected = np.broadcast_to(pixels.reshape(8, 8, -1), (8, 8, 3))
    np.testing.assert_array_equal(stored.pixels, expected)
    if form is RAW:
        assert stored.raw == expected.tobytes()
    else:
        np.testing.assert_array_equal(np.asarray(opened(stored)), expected)


@pytest.mark.parametrize("content", [PIXELS, file(Image.fromarray(PIXELS))])
def test_rules_hold_for_files_and_pixels(content):
    form = Form(8, 3, encoded=False, rules=Rules(min_side=9))
    with pytest.raises(BadImage, match="too small"):
        form.apply(content)
