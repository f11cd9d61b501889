import numpy as np
import pytest

from pipeline.data import augmentation

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (64, 12, 12, 3), np.uint8)


def all_of(images):
    return augmentation.Part(slice(None), len(images))


def augmented(name, images=IMAGES, seed=3, part=None, **options):
    change = augmentation.get(name, **options)
    part = part or all_of(images)
    return change(images[part.rows], np.random.default_rng(seed), part)


def crops(image, size, padding):
    """Yields (top, left, crop) of every crop of a zero-padded image."""
    padded = np.pad(image, [(padding, padding), (padding, padding), (0, 0)])
    room = len(padded) - size + 1
    for top in range(room):
        for left in range(room):
            yield top, left, padded[top : top + size, left : left + size]


def sources(image, result, size, padding):
    """Returns the (top, left, mirrored) that explain an augmented image."""
    return {
        (top, left, mirrored)
        for top, left, crop in crops(image, size, padding)
        for mirrored in (False, True)
        if np.array_equal(crop[:, ::-1] if mirrored else crop, result)
    }


@pytest.mark.parametrize(("size", "padding"), [(12, 4), (9, 4), (12, 2)])
def test_crop_flip_is_a_crop_of_the_padded_image(size, padding):
    results = augmented("crop_flip", size=size, padding=padding)
    assert results.dtype == np.uint8
    found = [
        sources(image, result, size, padding)
        for image, result in zip(IMAGES, results, strict=True)
    ]
    assert all(len(one) == 1 for one in found)
    tops, lefts, mirrored = zip(*(one.pop() for one in found), strict=True)
    room = 12 + 2 * padding - size
    for offsets in (tops, lefts):
        assert len(set(offsets)) > room / 2
        assert max(offsets) <= room
    assert 16 < sum(mirrored) < 48
    assert tops != lefts


def test_every_offset_of_a_crop_occurs():
    images = np.repeat(IMAGES[:1], 1000, axis=0)
    results = augmented("shift", images, size=12, pixels=1)
    counts = [
        sum(np.array_equal(crop, result) for result in results)
        for _, _, crop in crops(IMAGES[0], 12, 1)
    ]
    assert sum(counts) == 1000
    assert min(counts) > 70


@pytest.mark.parametrize("pixels", [0, 1, 3])
def test_shift_moves_and_fills_with_zeros(pixels):
    results = augmented("shift", size=12, pixels=pixels)
    seen = set()
    for image, result in zip(IMAGES, results, strict=True):
        found = sources(image, result, 12, pixels)
        assert len(found) == 1
        top, left, mirrored = found.pop()
        assert not mirrored
        seen.add((top, left))
    assert len(seen) > pixels * 5 or seen == {(0, 0)}


@pytest.mark.parametrize("name", augmentation.names())
@pytest.mark.parametrize("channels", [1, 3])
def test_the_generator_decides_alone(name, channels):
    images = IMAGES[..., :channels]
    before = images.copy()
    first, again = (augmented(name, images, size=10) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(images, before)
    assert first.shape == (64, 10, 10, channels)
    assert first.dtype == np.uint8
    other = augmented(name, images, seed=4, size=10)
    assert (name == "none") == np.array_equal(first, other)


@pytest.mark.parametrize("name", augmentation.names())
def test_parts_are_those_of_the_whole(name):
    rows = [slice(0, 20), slice(20, 21), slice(21, 64)]
    parts = [
        augmented(name, size=10, part=augmentation.Part(each, 64))
        for each in rows
    ]
    np.testing.assert_array_equal(
        np.concatenate(parts), augmented(name, size=10)
    )


def test_none_crops_the_centre():
    result = augmented("none", size=6)
    np.testing.assert_array_equal(result, IMAGES[:, 3:9, 3:9])
    np.testing.assert_array_equal(
        augmentation.center_crop(IMAGES, 7), IMAGES[:, 2:9, 2:9]
    )


def test_random_boxes_keep_area_and_ratio():
    side, scale, ratio = 200, (0.08, 1.0), (3 / 4, 4 / 3)
    starts, extents = augmentation._random_boxes(
        5000, side, np.random.default_rng(0), scale, ratio
    )
    assert starts.min() == 0
    assert (starts + extents).max() == side
    height, width = extents.T
    share = height * width / side**2
    np.testing.assert_allclose((share.min(), share.max()), scale, atol=0.02)
    widths = width / height
    np.testing.assert_allclose((widths.min(), widths.max()), ratio, atol=0.03)
    # Uniform in area, except that large elongated boxes do not fit.
    small = share < 0.5
    assert abs(share[small].mean() - 0.29) < 0.02
    assert abs(np.log(widths).mean()) < 0.02


def test_boxes_that_never_fit_become_the_whole():
    starts, extents = augmentation._random_boxes(
        9, 10, np.random.default_rng(0), (1.0, 1.0), (2.0, 2.0)
    )
    np.testing.assert_array_equal(starts, np.zeros((9, 2)))
    np.testing.assert_array_equal(extents, np.full((9, 2), 10))


def test_resized_crop_samples_its_box(monkeypatch):
    """A ramp stays a ramp, with the values of the box."""
    ramp = np.arange(12, dtype=np.uint8)[:, None] * 20 + np.zeros(12, np.uint8)
    images = np.stack([ramp, ramp.T])[..., None]
    boxes = np.array([[2, 1]] * 2), np.array([[4, 6]] * 2)
    monkeypatch.setattr(augmentation, "_random_boxes", lambda *_: boxes)
    monkeypatch.setattr(augmentation, "_flip", lambda images, *_: images)
    down, across = augmented("resized_crop_flip", images, size=12)[..., 0]
    centres = np.arange(12) + 0.5
    rows = (2 + centres * 4 / 12 - 0.5) * 20
    columns = (1 + centres * 6 / 12 - 0.5) * 20
    np.testing.assert_allclose(down[:, 5], rows, atol=0.51)
    np.testing.assert_allclose(across[5], columns, atol=0.51)


def triangle(start, extent, size, side):
    """Weights [size, side] of bilinear resizing with antialiasing."""
    scale = extent / size
    centres = start + (np.arange(size) + 0.5) * scale
    distances = np.abs(np.arange(side) + 0.5 - centres[:, None])
    weights = np.maximum(0, 1 - distances / max(scale, 1))
    return weights / weights.sum(1, keepdims=True)


def test_resized_crop_is_bilinear_with_antialiasing(monkeypatch):
    boxes = np.array([[2, 1]] * 64), np.array([[7, 11]] * 64)
    monkeypatch.setattr(augmentation, "_random_boxes", lambda *_: boxes)
    monkeypatch.setattr(augmentation, "_flip", lambda images, *_: images)
    results = augmented("resized_crop_flip", size=5)
    rows, columns = triangle(2, 7, 5, 12), triangle(1, 11, 5, 12)
    expected = np.einsum("ay,bx,nyxc->nabc", rows, columns, IMAGES)
    # Pillow rounds after each direction.
    np.testing.assert_allclose(results, expected, atol=1.01)


def test_resized_crop_shrinks_with_antialiasing():
    stripes = np.zeros((1, 64, 64, 1), np.uint8)
    stripes[:, :, ::2] = 255
    result = augmented("resized_crop_flip", stripes, size=8, scale=(0.9, 1.0))[
        :, :, 1:-1
    ]
    np.testing.assert_allclose(result, 127.5, atol=6)


@pytest.mark.parametrize("width", [1, 2, 9])
def test_flip_mirrors_half_of_the_images(width):
    images = IMAGES[:, :, :width].copy()
    drawn = np.random.default_rng(3).random(64) < 0.5
    expected = np.where(drawn[:, None, None, None], images[:, :, ::-1], images)
    found = augmentation._flip(images, np.random.default_rng(3), all_of(images))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["none", "crop_flip", "shift"])
def test_stored_images_must_be_large_enough(name):
    with pytest.raises(ValueError, match="`size`"):
        augmented(name, size=13)


def test_unknown_names_and_options():
    with pytest.raises(ValueError, match=r"none, flip, crop_flip.*'mixup'"):
        augmentation.get("mixup", size=8)
    with pytest.raises(ValueError, match=r"'crop_flip'.*'pixels'"):
        augmentation.get("crop_flip", size=8, pixels=3)


def test_reflecting_fills_with_the_image_itself():
    results = augmented("shift", size=12, pixels=2, fill="reflect")
    border = [(0, 0), (2, 2), (2, 2), (0, 0)]
    padded = np.pad(IMAGES, border, mode="reflect")
    for around, result in zip(padded, results, strict=True):
        assert any(
            np.array_equal(around[top : top + 12, left : left + 12], result)
            for top in range(5)
            for left in range(5)
        )


def test_the_fill_changes_neither_places_nor_mirroring():
    zeros, reflected = (
        augmented("crop_flip", size=12, padding=2, fill=fill)
        for fill in ("zeros", "reflect")
    )
    inside = slice(4, 8)
    np.testing.assert_array_equal(
        zeros[:, inside, inside], reflected[:, inside, inside]
    )


def test_alternating_mirrors_those_whose_turn_it_is():
    turned = RNG.random(64) < 0.5
    part = augmentation.Part(slice(None), 64, turned)
    options = {"size": 12, "padding": 0, "flip": "alternating"}
    found = augmented("crop_flip", part=part, **options)
    expected = np.where(turned[:, None, None, None], IMAGES[:, :, ::-1], IMAGES)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="`flip`"):
        augmented("crop_flip", **options)


def test_cutout_greys_one_square_and_nothing_else():
    options = {"size": 12, "padding": 2}
    plain = augmented("crop_flip", **options)
    found = augmented("crop_flip", **options, cutout=5)
    corners = set()
    for before, after in zip(plain, found, strict=True):
        [square] = [
            (top, left)
            for top in range(8)
            for left in range(8)
            if (after[top : top + 5, left : left + 5] == 128).all()
        ]
        corners.add(square)
        rows, columns = (slice(start, start + 5) for start in square)
        before[rows, columns] = 128
        np.testing.assert_array_equal(after, before)
    assert len(corners) > 20
    whole = augmented("crop_flip", **options, cutout=12)
    assert (whole == 128).all()


@pytest.mark.parametrize("options", [{}, {"cutout": 4}])
def test_parts_of_alternating_batches_are_those_of_the_whole(options):
    turned = RNG.random(64) < 0.5
    options |= {"size": 10, "flip": "alternating", "fill": "reflect"}
    rows = [slice(0, 20), slice(20, 64)]
    parts = [
        augmented(
            "crop_flip",
            part=augmentation.Part(each, 64, turned[each]),
            **options,
        )
        for each in rows
    ]
    whole = augmentation.Part(slice(None), 64, turned)
    np.testing.assert_array_equal(
        np.concatenate(parts), augmented("crop_flip", part=whole, **options)
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("fill", "mirror"), ("flip", "never"), ("cutout", 13), ("cutout", -1)],
)
def test_choices_of_crop_flip(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        augmented("crop_flip", size=12, **{name: value})
