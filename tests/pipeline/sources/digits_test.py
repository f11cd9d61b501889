import pickle

import numpy as np
import pytest
from sklearn import datasets

from pipeline import sources
from pipeline.sources import digits


def listed(source):
    return [item for p in source.find().pieces for item in source.items(p)]


def test_lists_every_digit_once():
    source = digits.Digits()
    items = listed(source)
    assert source.find().labels == tuple("0123456789")
    assert source.find().images == len(items) == 1797
    assert len({item.key for item in items}) == 1797
    assert {(item.split, item.reason) for item in items} == {(None, "")}


def test_pixels_are_the_original_levels():
    original = datasets.load_digits()
    source = pickle.loads(pickle.dumps(digits.Digits()))
    items = listed(source)
    for index in (500, 0, 1796):
        pixels = source.load(items[index].location)
        assert (pixels.dtype, pixels.shape) == (np.uint8, (8, 8))
        levels = pixels * (16 / 255)
        np.testing.assert_array_equal(np.round(levels), original.images[index])
        assert items[index].label == original.target[index]
        assert items[index].key == f"{original.target[index]}/{index:04d}"


def test_black_and_white_are_exact():
    source = digits.Digits()
    levels = np.unique([source.load(str(i)) for i in range(100)])
    assert (levels.min(), levels.max(), len(levels)) == (0, 255, 17)


def test_an_unknown_source_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"cifar, .*digits, .*'dogs'"):
        sources.build("dogs")


def test_options_that_do_not_fit():
    with pytest.raises(ValueError, match=r"source 'digits'.*'path'"):
        sources.build("digits", path="x")


def test_the_state_never_changes():
    assert digits.Digits().state() == digits.Digits().state()
