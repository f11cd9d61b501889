import collections
import pickle

import numpy as np
import pytest

from pipeline import sources
from pipeline.data import splits
from pipeline.sources import cluttered_digits, digits


def listed(source):
    return [item for p in source.find().pieces for item in source.items(p)]


def test_lists_every_view_of_every_digit_once():
    source = cluttered_digits.ClutteredDigits(views=2)
    items = listed(source)
    assert source.find().images == len(items) == 2 * 1797
    assert len({item.key for item in items}) == 2 * 1797
    _, labels = digits.scans()
    assert [item.label for item in items[::2]] == labels.tolist()


def test_all_views_of_a_digit_are_in_one_split():
    found = collections.defaultdict(set)
    for item in listed(cluttered_digits.ClutteredDigits(views=3)):
        found[item.key.rpartition("/")[0]].add(item.split)
    assert {len(each) for each in found.values()} == {1}
    counts = collections.Counter(split for [split] in found.values())
    assert set(counts) == set(splits.SPLITS)
    assert 0.15 < counts["test"] / 1797 < 0.25


def test_every_split_has_every_class():
    for split in splits.SPLITS:
        labels = {
            item.label
            for item in listed(cluttered_digits.ClutteredDigits(views=1))
            if item.split == split
        }
        assert labels == set(range(10))


@pytest.mark.parametrize("size", [16, 32, 48])
def test_an_image_is_a_function_of_its_place_and_the_seed(size):
    source = cluttered_digits.ClutteredDigits(size=size)
    again = pickle.loads(pickle.dumps(source))
    image = source.load("17/2")
    assert (image.dtype, image.shape) == (np.uint8, (size, size))
    np.testing.assert_array_equal(image, again.load("17/2"))
    others = [
        source.load("17/1"),
        source.load("18/2"),
        cluttered_digits.ClutteredDigits(size=size, seed=1).load("17/2"),
    ]
    assert all((image != other).any() for other in others)


def test_some_images_are_noisier_than_others():
    """Half of an easy image is black; of the noisiest ones it is not."""
    source = cluttered_digits.ClutteredDigits()
    images = [source.load(f"{number}/0") for number in range(200)]
    middle = [np.median(image) for image in images]
    assert min(middle) == 0 < max(middle)


@pytest.mark.parametrize(
    "options", [{"views": 0}, {"size": 8}, {"size": 32.0}, {"seed": -1}]
)
def test_bad_options(options):
    [name] = options
    with pytest.raises(ValueError, match=f"`{name}`"):
        sources.build("cluttered_digits", **options)


def test_the_state_follows_the_options():
    states = {
        cluttered_digits.ClutteredDigits(**options).state()
        for options in ({}, {"views": 1}, {"size": 48}, {"seed": 1})
    }
    assert len(states) == 4
