import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import tally


def images(count, seed, channels=3):
    rng = np.random.default_rng(seed)
    return [
        (
            rng.integers(0, 256, (5, 5, channels), np.uint8),
            int(rng.integers(4)),
            *map(int, rng.integers(1, 5000, 2)),
        )
        for _ in range(count)
    ]


def counted(found, channels=3):
    counter = tally.Counter(channels)
    for image in found:
        counter.add(*image)
    return counter.tally()


@given(st.integers(1, 30), st.integers(0, 30), st.integers(0, 100))
def test_parts_add_up_to_the_whole(count, cut, seed):
    found = images(count, seed)
    parts = [counted(found[:cut]), counted(found[cut:])]
    total = tally.add(json.loads(json.dumps(parts)))
    whole = tally.add([counted(found)])
    assert tally.describe(total, 4) == tally.describe(whole, 4)
    assert tally.add(reversed(parts))["levels"] == whole["levels"]


@pytest.mark.parametrize("channels", [1, 3])
def test_against_numpy(channels, monkeypatch):
    monkeypatch.setattr(tally, "_FULL", 200)  # Add up more than once.
    found = images(50, 0, channels)
    described = tally.describe(counted(found, channels), 4)
    pixels = np.stack([image for image, *_ in found]) / 255
    np.testing.assert_allclose(
        described["channel_mean"], pixels.mean((0, 1, 2))
    )
    np.testing.assert_allclose(described["channel_std"], pixels.std((0, 1, 2)))
    labels = [label for _, label, _, _ in found]
    np.testing.assert_array_equal(
        described["classes"], np.bincount(labels, minlength=4)
    )
    sides = [min(size) for *_, size in ((p, (h, w)) for p, _, h, w in found)]
    expected = np.histogram(sides, [*tally.SIDES, np.inf])[0]
    np.testing.assert_array_equal(described["sides"], expected)


def test_sums_are_exact_where_float32_is_not():
    white = np.full((512, 512, 1), 255, np.uint8)
    described = counted([(white, 0, 512, 512)] * 5, 1)
    assert described["levels"] == [[5 * 512**2 * 255, 5 * 512**2 * 255**2]]
    assert tally.describe(described, 1)["channel_std"] == [0.0]
