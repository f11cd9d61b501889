import pytest

from pipeline.figures import page


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (0.70935938, "0.7094"),
        (0.9990, "0.999"),
        (0.9999, "1 − 0.0001"),
        (0.9999999792, "1 − 2.1e−8"),
        (1.0, "1"),
        (1.5, "1.5"),
    ],
)
def test_thresholds_can_be_read(number, text):
    assert page.threshold(number) == text


def test_intervals_are_in_percent():
    assert page.interval(0.9922, 386) == "97.7 to 99.7 %"
    assert page.interval(None, 386) == page.interval(0.5, 0) == ""
