"""Tests of keras_dynamic.exits.fitting.exit_shares."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.decision.policy import DISABLED_THRESHOLD
from keras_dynamic.exits.fitting.exit_shares import exit_shares, thresholds

NEVER = 1e8


def published_protocol(confidences, shares):
    """The published loop, image by image; `NEVER` where no image leaves."""
    exits, images = confidences.shape
    bars = [NEVER] * exits
    gone = [False] * images
    for exit in range(exits - 1):
        wanted = math.floor(images * shares[exit])
        count = 0
        for image in np.argsort(-confidences[exit], kind="stable"):
            if not gone[image]:
                count += 1
                if count == wanted:
                    bars[exit] = confidences[exit, image]
                    break
        for image in range(images):
            if confidences[exit, image] >= bars[exit]:
                gone[image] = True
    bars[-1] = -NEVER
    return bars


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(1, 6),
    images=st.integers(1, 40),
    decimals=st.sampled_from([1, 2, 12]),
    q=st.floats(0.05, 2.0),
)
def test_thresholds_are_those_of_the_published_protocol(
    seed, exits, images, decimals, q
):
    rng = np.random.default_rng(seed)
    # Few decimals give ties, which leave together and starve later exits.
    confidences = rng.uniform(0.1, 1.0, (exits, images)).round(decimals)
    shares = exit_shares(q, exits)
    bars, enabled = thresholds(confidences, shares)
    expected = published_protocol(confidences, shares)
    assert enabled.tolist() == [bar != NEVER for bar in expected]
    for exit in range(exits - 1):
        assert bars[exit] == (
            expected[exit] if enabled[exit] else DISABLED_THRESHOLD
        )
    assert (bars[-1], enabled[-1]) == (0.0, True)


def test_a_share_below_one_image_disables_the_exit():
    confidences = np.full((3, 4), 0.5)
    bars, enabled = thresholds(confidences, [0.24, 0.26, 0.5])
    assert enabled.tolist() == [False, True, True]
    assert bars.tolist() == [1.0, 0.5, 0.0]


def test_an_exit_with_too_few_images_left_never_fires():
    # All four leave at the first exit, because they are equally sure.
    confidences = np.full((3, 4), 0.5)
    _, enabled = thresholds(confidences, [0.25, 0.25, 0.5])
    assert enabled.tolist() == [True, False, True]


@pytest.mark.parametrize("q", [1e-300, 0.05, 1.0, 1.95, 1e300])
def test_shares_grow_by_q_and_sum_to_one(q):
    shares = exit_shares(q, 6)
    assert np.isfinite(shares).all()
    assert shares.sum() == pytest.approx(1.0, rel=1e-12)
    np.testing.assert_allclose(
        shares[1:], q * shares[:-1], rtol=1e-12, atol=1e-299
    )


def test_equal_shares_are_exactly_equal():
    assert exit_shares(1.0, 4).tolist() == [0.25] * 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exit_shares(0.0, 3), "`q` must be"),
        (lambda: exit_shares(math.nan, 3), "`q` must be"),
        (lambda: exit_shares(1.0, 0), "`exits` must be"),
        (
            lambda: thresholds(np.ones(3), [1.0]),
            r"`confidences` must be \[K, N\]",
        ),
        (
            lambda: thresholds([[0.5, 1.5]], [1.0]),
            r"`confidences` must lie in \[0, 1\]",
        ),
        (
            lambda: thresholds([[0.5, np.nan]], [1.0]),
            r"`confidences` must lie in \[0, 1\]",
        ),
        (
            lambda: thresholds([[0.5, 0.6]], [0.5, 0.5]),
            "`shares` must be 1 numbers",
        ),
        (
            lambda: thresholds([[0.5]] * 2, [0.5, 0.4]),
            "`shares` must be .* sum to 1",
        ),
        (
            lambda: thresholds([[0.5]] * 2, [-0.5, 1.5]),
            "`shares` must be",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
