import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline import splits

FRACTIONS = {"validation": 0.1, "calibration": 0.2, "test": 0.3}


def test_shares_are_met_on_average():
    keys = [f"class/{i}.jpg" for i in range(20_000)]
    assigned = [splits.assign(key.encode(), FRACTIONS, 0) for key in keys]
    for split, share in {**FRACTIONS, "train": 0.4}.items():
        assert abs(assigned.count(split) / len(keys) - share) < 0.01


def test_fixed_for_ever():
    """A change here would move images of existing data sets."""
    keys = (f"{i}" for i in range(24))
    initials = [splits.assign(key.encode(), FRACTIONS, 0)[0] for key in keys]
    assert "".join(initials) == "ctcttctttctttvtcttttcttt"


def test_no_fraction_no_image():
    assert {
        splits.assign(str(i).encode(), {"validation": 0.5}, 0)
        for i in range(1000)
    } == {"train", "validation"}


@given(st.binary(), st.integers(0, 2**31))
def test_a_larger_test_fraction_only_takes_from_train(key, seed):
    before = splits.assign(key, FRACTIONS, seed)
    after = splits.assign(key, {**FRACTIONS, "test": 0.4}, seed)
    assert after == before or (before, after) == ("train", "test")


@given(st.binary(), st.text(max_size=20))
def test_hash_fits_in_63_bits(key, purpose):
    assert 0 <= splits.hash63(key, purpose) < 2**63


def test_seeds_and_purposes_differ():
    keys = [str(i).encode() for i in range(100)]
    assert len({splits.hash63(k, p) for k in keys for p in "ab"}) == 200
    first, second = (
        [splits.assign(k, FRACTIONS, seed) for k in keys] for seed in (0, 1)
    )
    assert first != second


def test_identities_tell_contents_apart():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    contents = [b"", b"a", pixels.tobytes(), pixels, pixels.T, pixels[::-1]]
    contents += [pixels.reshape(4, 3), pixels.reshape(3, 4, 1)]
    assert len({splits.identity(content) for content in contents}) == 8


def test_equal_pixels_have_one_identity():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    columns_first = np.asfortranarray(pixels)
    assert splits.identity(pixels) == splits.identity(columns_first)
