import numpy as np
import pytest

from pipeline.data import distortions
from pipeline.data.part import Part

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 12, 12, 3), np.uint8)
OFF = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}


def jittered(images=IMAGES, rows=slice(None), seed=0, **most):
    return distortions.jittered(
        images[rows],
        np.random.default_rng(seed),
        Part(rows, len(images)),
        **OFF | most,
    )


def rand_augmented(images=IMAGES, rows=slice(None), seed=0, **options):
    return distortions.rand_augmented(
        images[rows],
        np.random.default_rng(seed),
        Part(rows, len(images)),
        **{"operations": 2, "magnitude": 9.0} | options,
    )


def grey(images):
    return images.astype(np.float64) @ [0.299, 0.587, 0.114]


def test_without_strength_nothing_is_drawn():
    for change, options in (
        (distortions.jittered, OFF),
        (
            distortions.rand_augmented,
            {"operations": 0, "magnitude": 9.0},
        ),
    ):
        generator = np.random.default_rng(0)
        part = Part(slice(None), len(IMAGES))
        assert change(IMAGES, generator, part, **options) is IMAGES
        assert generator.random() == np.random.default_rng(0).random()


def test_brightness_multiplies():
    images = IMAGES // 2
    factors = jittered(images, brightness=0.5).astype(float).sum(
        axis=(1, 2, 3)
    ) / images.sum(axis=(1, 2, 3))
    assert 0.5 <= factors.min() < 0.7
    assert 1.3 < factors.max() <= 1.5


def test_contrast_keeps_the_mean_and_changes_the_spread():
    images = 96 + IMAGES // 4
    found = jittered(images, contrast=0.5)
    before, after = grey(images), grey(found)
    np.testing.assert_allclose(
        after.mean(axis=(1, 2)), before.mean(axis=(1, 2)), atol=0.5
    )
    shares = after.std(axis=(1, 2)) / before.std(axis=(1, 2))
    assert shares.min() < 0.7
    assert shares.max() > 1.3


def test_saturation_keeps_the_grey():
    images = 96 + IMAGES // 4
    found = jittered(images, saturation=0.5)
    np.testing.assert_allclose(grey(found), grey(images), atol=1.0)
    shares = found.std(axis=-1).mean(axis=(1, 2)) / images.std(axis=-1).mean(
        axis=(1, 2)
    )
    assert shares.min() < 0.7
    assert shares.max() > 1.3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("change", "options"),
    [(jittered, dict.fromkeys(OFF, 0.4)), (rand_augmented, {})],
)
def test_the_seed_decides_and_parts_are_those_of_the_whole(
    change, options, channels
):
    images = IMAGES[..., :channels]
    before = images.copy()
    whole = change(images, **options)
    np.testing.assert_array_equal(whole, change(images, **options))
    assert not np.array_equal(whole, change(images, seed=1, **options))
    np.testing.assert_array_equal(images, before)
    assert (whole.dtype, whole.shape) == (np.uint8, images.shape)
    parts = [
        change(images, rows, **options)
        for rows in (slice(0, 7), slice(7, 8), slice(8, 40))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_every_operation_occurs_and_most_change_something():
    image = np.repeat(IMAGES[:1], 300, axis=0)
    found = rand_augmented(image, operations=1)
    kinds = {each.tobytes() for each in found}
    # Some are the same in both directions, or change nothing here.
    assert 15 <= len(kinds) <= 24
    assert len({x.tobytes() for x in rand_augmented(image, magnitude=3.0)}) > 50


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (jittered, {"brightness": 1.0}),
        (jittered, {"saturation": -0.1}),
        (rand_augmented, {"operations": -1}),
        (rand_augmented, {"operations": 1.5}),
        (rand_augmented, {"magnitude": 11.0}),
    ],
)
def test_numbers_out_of_range_are_named(change, options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
        change(**options)
