import numpy as np
import pytest
from sklearn import datasets

from pipeline import sources
from pipeline.sources import digits


def test_lists_every_digit_once():
    listing = digits.find()
    assert listing.labels == tuple("0123456789")
    assert len({item.key for item in listing.items}) == 1797
    assert {item.split for item in listing.items} == {None}


def test_pixels_are_the_original_levels():
    original = datasets.load_digits()
    items = digits.find().items
    for index in (0, 500, 1796):
        picture = digits.load(items[index].location)
        assert (picture.mode, picture.size) == ("L", (8, 8))
        levels = np.asarray(picture) * (16 / 255)
        np.testing.assert_array_equal(np.round(levels), original.images[index])
        assert items[index].label == original.target[index]
        assert items[index].key == f"{original.target[index]}/{index:04d}"


def test_black_and_white_are_exact():
    pictures = [np.asarray(digits.load(str(i))) for i in range(100)]
    levels = np.unique(pictures)
    assert (levels.min(), levels.max(), len(levels)) == (0, 255, 17)


def test_an_unknown_source_lists_the_known_ones():
    assert sources.names() == ("digits", "image_folder")
    with pytest.raises(ValueError, match=r"digits, image_folder.*'dogs'"):
        sources.get("dogs")
