import io
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from keras_dynamic import exits
from pipeline.cli import classify_verb
from pipeline.data import augmentation, image, photograph
from pipeline.data.form import Form
from pipeline.data.image import Rules
from pipeline.scoring import reading
from tests.support import markdown_blocks
from tests.support.tiny_graph import TinyGraph
from tflite import bundle
from tflite.cutting import split
from tflite.runtime.harness import Harness

SIZE, STORED = 6, (6, 9)
MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"),
    "GIF": ("L", "P", "RGB"),
}
TURNS = ("JPEG", "PNG", "WEBP", "TIFF")  # With a place for an orientation.
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description {}/>'
    "</rdf:RDF></x:xmpmeta>"
)
[README] = [
    block.compiled()
    for block in markdown_blocks.blocks("README.md", "python")
    if "pixels_for" in block.text
]


def photo(
    height, width, mode="RGB", format="PNG", exif=None, xmp=None, icc=False
):
    """Encodes noise that says of itself how it is to be turned."""
    rng = np.random.default_rng(100 * height + width)
    if mode == "I;16":
        noise = rng.integers(0, 2**16, (height, width), np.uint16)
        picture = Image.fromarray(noise)
    else:
        noise = rng.integers(0, 256, (height, width, 3), np.uint8)
        picture = Image.fromarray(noise).convert(mode)
        if mode in ("LA", "RGBA"):
            picture.putalpha(Image.fromarray(noise[..., 0]))
    options = {"lossless": True} if format == "WEBP" else {}
    if format not in TURNS:
        exif = xmp = None
    elif icc:
        options["icc_profile"] = PROFILE
    if exif is not None:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = exif
    if xmp is not None:
        said = XMP.format(f'tiff:Orientation="{xmp}"')
        if format in ("JPEG", "WEBP"):
            options["xmp"] = said.encode()
        elif format == "TIFF":
            options["tiffinfo"] = {700: said.encode()}
        else:
            options["pnginfo"] = PngImagePlugin.PngInfo()
            options["pnginfo"].add_itxt("XML:com.adobe.xmp", said)
    written = io.BytesIO()
    picture.save(written, format, **options)
    return written.getvalue()


def write_bundle(directory, channels, stored):
    """Writes a bundle whose logits are the means of the channels."""
    graph = TinyGraph()
    shape = (SIZE, SIZE, channels)
    x = graph.tensor((1, *shape), np.int8, scale=1 / 255, zero_point=-128)
    axes = graph.constant(np.array([1, 2], np.int32))
    logits = graph.tensor((1, channels), np.int8, scale=0.0625)
    graph.operator("MEAN", [x, axes], [logits], keepDims=False)
    whole = graph.write([x], [logits], {"image": x, "exit_0": logits})
    [segment] = split.split(whole, ["exit_0"])
    bundle.write(
        str(directory),
        name="means",
        segments=[
            bundle.segment_facts(
                0, segment.model, segment.wiring, madds=1, params=0
            )
        ],
        models=[segment.model],
        labels=[f"channel {k}" for k in range(channels)],
        input=bundle.InputFacts(shape, fit=bundle.FitFacts(stored)),
        policy=exits.last_exit([1.0]),
        provenance={},
    )


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A directory with runs/photos/bundle, by channels and stored size."""
    found = {}
    for channels in (1, 3):
        for stored in STORED:
            root = tmp_path_factory.mktemp("readme")
            place = root / "runs" / "photos" / "bundle"
            place.parent.mkdir(parents=True)
            write_bundle(place, channels, stored)
            found[channels, stored] = root
    return found


def ways(root, data):
    """Takes a photograph through all ways there are; returns its pixels."""
    facts = bundle.read(str(root / "runs/photos/bundle")).input
    form = (facts.fit.stored_size, facts.shape[2])
    prepared = Form(*form, encoded=False, rules=Rules()).apply(data)
    stored = np.frombuffer(prepared.raw, np.uint8)
    stored = stored.reshape(1, form[0], *form)
    path = root / "photo.jpg"
    path.write_bytes(data)
    reader = reading.Read(str(root / "runs/photos/bundle"))
    reader.setup()
    size = path.stat().st_size
    [(_, scored)] = reader.process((str(path), 0, size, "", ""))
    names = {}
    before = os.getcwd()
    os.chdir(root)
    try:
        exec(README, names)
    finally:
        os.chdir(before)
    with Harness(str(root / "runs/photos/bundle")) as harness:
        classified = classify_verb._pixels(str(path), harness)
    slow = image.fit(image.with_pillow(data), *form)
    return {
        "evaluated": augmentation.center_crop(stored, SIZE)[0],
        "Pillow": image.centre(slow, SIZE, SIZE),
        "classify": classified,
        "score": scored,
        "README": names["pixels"],
    }


def kinds():
    return st.sampled_from(
        [(format, mode) for format, modes in MODES.items() for mode in modes]
    )


SIDES = st.one_of(st.integers(1, 40), st.sampled_from(STORED))
ORIENTATIONS = st.one_of(st.none(), st.integers(1, 8))


@settings(max_examples=150)
@given(
    st.sampled_from((1, 3)),
    st.sampled_from(STORED),
    SIDES,
    SIDES,
    kinds(),
    ORIENTATIONS,
    ORIENTATIONS,
    st.booleans(),
)
def test_every_way_gives_the_same_pixels(
    places, channels, stored, height, width, kind, exif, xmp, icc
):
    format, mode = kind
    data = photo(height, width, mode, format, exif, xmp, icc)
    found = ways(places[channels, stored], data)
    for name, pixels in found.items():
        assert pixels.dtype == np.uint8
        assert pixels.shape == (SIZE, SIZE, channels)
        np.testing.assert_array_equal(pixels, found["evaluated"], name)


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_an_orientation_in_xmp_counts_where_exif_has_none(places, format):
    upright = image.pixels(photo(9, 12, format=format))
    turned = np.rot90(upright, -1)
    for exif, xmp, expected in (
        (None, 6, turned),
        (6, 1, turned),
        (1, 6, upright),
        (None, 1, upright),
    ):
        data = photo(9, 12, format=format, exif=exif, xmp=xmp)
        np.testing.assert_array_equal(image.pixels(data), expected)
        found = ways(places[3, 9], data)
        facts = bundle.InputFacts((6, 6, 3), fit=bundle.FitFacts(9))
        exact = photograph.pixels_for(expected, facts)
        for name, pixels in found.items():
            np.testing.assert_array_equal(pixels, exact, name)


def test_both_spellings_of_xmp_are_found():
    plain = photo(4, 8, format="JPEG")
    for said in ('tiff:Orientation="3"', "><tiff:Orientation>3</tiff:O"):
        packet = b"http://ns.adobe.com/xap/1.0/\0" + XMP.format(said).encode()
        marker = b"\xff\xe1" + (len(packet) + 2).to_bytes(2, "big") + packet
        data = plain[:2] + marker + plain[2:]
        np.testing.assert_array_equal(
            image.pixels(data), image.pixels(plain)[::-1, ::-1]
        )


def test_what_is_not_turned_is_kept_byte_for_byte():
    for exif, xmp in ((None, None), (None, 1), (1, 1), (1, 6)):
        data = photo(9, 9, format="JPEG", exif=exif, xmp=xmp)
        stored = Form(9, 3, encoded=True, rules=Rules()).apply(data)
        assert stored.encoded == data


@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 1), (9, 9, 3), (9, 9, 4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_taken_as_a_file_with_them_is(shape, channels):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    written = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(written, "PNG")
    facts = bundle.InputFacts((5, 7, channels), fit=bundle.FitFacts(8))
    found = photograph.pixels_for(pixels, facts)
    assert found.shape == (5, 7, channels)
    np.testing.assert_array_equal(
        found, photograph.pixels_for(written.getvalue(), facts)
    )


def test_the_base_install_with_images_suffices():
    code = (
        "import sys; from pipeline.data import photograph; "
        "from tflite.runtime.harness import Harness; print(*sys.modules)"
    )
    root = str(markdown_blocks.ROOT)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": root},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    imported = {name.split(".")[0] for name in done.stdout.split()}
    assert "PIL" in imported
    assert imported.isdisjoint(
        {"apache_beam", "google_crc32c", "keras", "ml_collections", "sklearn"}
        | {"tensorflow", "tf_keras"}
    )


def test_a_damaged_file_is_refused():
    data = photo(9, 9)
    facts = bundle.InputFacts((6, 6, 3))
    for damaged in (b"", data[:60], b"no image"):
        with pytest.raises(image.BadImage):
            photograph.pixels_for(damaged, facts)


@pytest.mark.parametrize(
    "photo",
    [
        "photo.jpg",
        np.zeros((4, 4)),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_what_is_no_photograph_is_refused(photo):
    with pytest.raises(ValueError, match="`photo`"):
        photograph.pixels_for(photo, bundle.InputFacts((6, 6, 3)))


def scaled(pixels, side, size):
    """Scales the last axis: what docs/bundle.md says, in whole numbers."""
    given = pixels.shape[-1]
    step = side / size
    reach = max(step, 1.0)
    centres = (given - side) / 2 + (np.arange(size)[:, None] + 0.5) * step
    distance = np.abs(np.arange(given) + 0.5 - centres) / reach
    weights = np.maximum(1 - distance, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    weights = np.floor(weights * 2**22 + 0.5).astype(np.int64)
    return (np.einsum("cyx,ox->cyo", pixels, weights) + 2**21) >> 22


@settings(max_examples=50)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 30))
def test_scaling_is_what_the_documentation_says(height, width, size):
    rng = np.random.default_rng(height * width)
    pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    side = min(height, width)
    across = scaled(pixels.transpose(2, 0, 1).astype(np.int64), side, size)
    down = scaled(across.transpose(0, 2, 1), side, size)
    facts = bundle.InputFacts((size, size, 3))
    np.testing.assert_array_equal(
        photograph.pixels_for(pixels, facts), down.transpose(2, 1, 0)
    )
