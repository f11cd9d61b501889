import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import splits

names = st.binary(min_size=32, max_size=32)
FRACTIONS = {"validation": 0.1, "calibration": 0.2, "test": 0.3}


def name(key):
    return splits.identity(key.encode())


def test_shares_are_met_on_average():
    keys = [f"class/{i}.jpg" for i in range(20_000)]
    assigned = [splits.assign(name(key), FRACTIONS, 0) for key in keys]
    for split, share in {**FRACTIONS, "train": 0.4}.items():
        assert abs(assigned.count(split) / len(keys) - share) < 0.01


def test_fixed_for_ever():
    """A change here would move images of existing data sets."""
    keys = (f"{i}" for i in range(24))
    initials = [splits.assign(name(key), FRACTIONS, 0)[0] for key in keys]
    assert "".join(initials) == "cttttctcctcvvtctcttttttt"


def test_no_fraction_no_image():
    assert {
        splits.assign(name(str(i)), {"validation": 0.5}, 0) for i in range(1000)
    } == {"train", "validation"}


@given(names, st.integers(0, 2**31))
def test_a_larger_test_fraction_only_takes_from_train(key, seed):
    before = splits.assign(key, FRACTIONS, seed)
    after = splits.assign(key, {**FRACTIONS, "test": 0.4}, seed)
    assert after == before or (before, after) == ("train", "test")


@given(names, st.text(max_size=20))
def test_hash_fits_in_63_bits(key, purpose):
    assert 0 <= splits.hash63(key, purpose) < 2**63


def test_seeds_and_purposes_differ():
    keys = [name(str(i)) for i in range(100)]
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


def test_seeds_are_independent():
    """Of those in the test split of one seed, as many are in another's."""
    images = [name(str(i)) for i in range(20_000)]
    chosen = [
        [splits.assign(image, FRACTIONS, seed) == "test" for image in images]
        for seed in range(4)
    ]
    both = np.cov(np.array(chosen, float))
    off_diagonal = both[~np.eye(4, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.01
