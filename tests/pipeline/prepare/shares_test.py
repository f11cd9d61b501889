import pytest

from pipeline.prepare import shares

TENTHS = {"validation": 0.1, "calibration": 0.1, "test": 0.0}


def test_large_enough_shares_stay_as_they_are():
    assert shares.raised(TENTHS, 500, 50) == TENTHS
    assert shares.raised(TENTHS, 10, 0) == TENTHS
    none = dict.fromkeys(TENTHS, 0.0)
    assert shares.raised(none, 10, 50) == none


def test_small_ones_are_raised_to_so_many_images():
    one = {"validation": 0.01, "calibration": 0.3, "test": 0.0}
    found = shares.raised(one, 600, 50)
    assert found == pytest.approx(one | {"validation": 50 / 600})


@pytest.mark.parametrize("images", [0, 1, 20, 100, 199])
def test_half_of_the_images_are_left_to_train_on(images):
    found = shares.raised(TENTHS, images, 50)
    assert sum(found.values()) == pytest.approx(0.5)
    assert found["validation"] == found["calibration"] > 0.1
    assert found["test"] == 0


def test_shares_of_more_than_half_are_not_raised():
    most = {"validation": 0.6, "calibration": 0.01, "test": 0.0}
    assert shares.raised(most, 100, 50) == most
