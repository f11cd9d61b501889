import numpy as np
import pytest

from pipeline.data import augmentation, views
from pipeline.data.part import Part

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 12, 12, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "options"),
    [("none", {}), ("flip", {}), ("flip", {"flip": "alternating"})],
)
def test_a_view_is_chosen_as_the_augmentation_does(name, options):
    rows, turned = slice(10, 30), RNG.random(40) < 0.5
    part = Part(rows, 40, turned[rows])
    change = augmentation.get(name, size=9, **options)
    expected = change(IMAGES[rows], np.random.default_rng(3), part)
    chosen = views.choice(name, **options)(np.random.default_rng(3), part)
    every = np.stack(
        [views.view(IMAGES[rows], 9, k) for k in range(views.count(name))]
    )
    found = every[chosen, np.arange(20)]
    np.testing.assert_array_equal(found, expected)


def test_the_others_have_countless_views():
    assert [name for name in augmentation.names() if views.count(name)] == [
        "none",
        "flip",
    ]
