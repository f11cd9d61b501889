import pytest

from pipeline.results import wilson


@pytest.mark.parametrize(
    ("right", "images", "expected"),
    # Of R's prop.test(right, images, correct=FALSE).
    [
        (0, 10, (0.0, 0.2775)),
        (5, 10, (0.2366, 0.7634)),
        (10, 10, (0.7225, 1.0)),
        (81, 263, (0.2553, 0.3662)),
    ],
)
def test_known_intervals(right, images, expected):
    found = wilson.interval(right / images, images)
    assert found == pytest.approx(expected, abs=5e-5)


def test_more_images_tell_more():
    widths = [
        high - low
        for low, high in (wilson.interval(0.9, n) for n in (10, 100, 10_000))
    ]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.012


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="`images`"):
        wilson.interval(0.5, 0)
