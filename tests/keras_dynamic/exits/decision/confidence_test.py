"""Tests of keras_dynamic.exits.decision.confidence."""

import numpy as np
import pytest

from keras_dynamic.exits.decision import confidence


def test_softmax_equals_the_definition():
    logits = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    powers = np.exp(logits.astype(np.float64) / 2.5)
    expected = powers / powers.sum(axis=1, keepdims=True)
    got = confidence.softmax(logits, 2.5)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_softmax_neither_overflows_nor_changes_its_argument():
    logits = np.array([[3e38, -3e38, 3e38]], np.float32)
    before = logits.copy()
    np.testing.assert_array_equal(
        confidence.softmax(logits, 0.05), [[0.5, 0.0, 0.5]]
    )
    np.testing.assert_array_equal(logits, before)


def test_integer_logits_are_allowed():
    np.testing.assert_array_equal(confidence.softmax([0, 0]), [0.5, 0.5])


@pytest.mark.parametrize("classes", [1, 2, 7, 8, 9, 10, 100, 1000])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_row_alone_gives_the_bits_it_gives_in_a_batch(classes, order):
    logits = np.random.default_rng(classes).normal(size=(33, classes)) * 4
    logits = np.asarray(logits, np.float32, order=order)
    alone = [confidence.softmax(row.copy(), 1.7) for row in logits]
    np.testing.assert_array_equal(confidence.softmax(logits, 1.7), alone)
    np.testing.assert_array_equal(
        confidence.max_probability(logits, 1.7), np.max(alone, axis=1)
    )


def test_max_probability_keeps_leading_axes():
    logits = np.zeros((2, 3, 4))
    np.testing.assert_array_equal(
        confidence.max_probability(logits), np.full((2, 3), 0.25)
    )
    assert confidence.max_probability(logits[0, 0]) == 0.25


def test_margin_and_entropy_equal_their_definitions():
    logits = np.random.default_rng(0).normal(size=(2, 50, 7)) * 3
    probabilities = confidence.softmax(logits, 1.7)
    ranked = np.sort(probabilities, axis=-1)
    np.testing.assert_array_equal(
        confidence.margin(logits, 1.7), ranked[..., -1] - ranked[..., -2]
    )
    entropy = -np.sum(probabilities * np.log(probabilities), axis=-1)
    np.testing.assert_allclose(
        confidence.entropy_confidence(logits, 1.7), 1 - entropy / np.log(7)
    )


@pytest.mark.parametrize("classes", [2, 3, 7, 10, 1000])
@pytest.mark.parametrize(
    "measure", [confidence.margin, confidence.entropy_confidence]
)
def test_margin_and_entropy_at_their_ends_and_row_by_row(measure, classes):
    logits = np.random.default_rng(1).normal(size=(33, classes)) * 4
    rows = [measure(row.copy(), 1.7) for row in logits]
    np.testing.assert_array_equal(measure(logits, 1.7), rows)
    assert (np.array(rows) >= 0.0).all()
    assert (np.array(rows) <= 1.0).all()
    assert measure(np.zeros(classes)) == pytest.approx(0.0, abs=1e-12)
    assert measure(np.zeros(classes)) >= 0.0
    certain = np.zeros(classes)
    certain[1] = 1e6
    assert measure(certain) == 1.0
    assert measure(np.zeros(1)) == 1.0


@pytest.mark.parametrize(
    "measure", [confidence.margin, confidence.entropy_confidence]
)
def test_margin_and_entropy_refuse_what_softmax_refuses(measure):
    with pytest.raises(ValueError, match="in 1 of 2 rows"):
        measure(np.array([[0.0, np.nan], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="`temperature`"):
        measure(np.zeros(3), 0.0)
    with pytest.raises(ValueError, match="at least one class"):
        measure(np.zeros((3, 0)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_logits_are_counted(bad):
    logits = np.zeros((4, 3))
    logits[1, 2] = logits[3, 0] = bad
    with pytest.raises(ValueError, match=r"`logits`"):
        confidence.softmax(logits)
    with pytest.raises(ValueError, match="in 1 of 1 rows"):
        confidence.softmax(logits[1])


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_bad_temperatures_are_named(bad):
    with pytest.raises(ValueError, match="`temperature`"):
        confidence.softmax([0.0, 1.0], bad)


def test_no_classes_is_an_error():
    with pytest.raises(ValueError, match="at least one class"):
        confidence.softmax(np.zeros((3, 0)))


def test_confidences_use_each_exit_s_temperature():
    logits = np.random.default_rng(0).normal(size=(2, 5, 3))
    np.testing.assert_array_equal(
        confidence.confidences(logits, [0.5, 2.0]),
        [
            confidence.max_probability(logits[0], 0.5),
            confidence.max_probability(logits[1], 2.0),
        ],
    )


def test_confidences_name_the_exit_that_is_wrong():
    logits = np.zeros((2, 5, 3))
    logits[1, 4] = np.nan
    with pytest.raises(ValueError, match=r"`logits\[1\]`"):
        confidence.confidences(logits, [1.0, 1.0])
    with pytest.raises(ValueError, match="one array per exit, 3 in all"):
        confidence.confidences(np.zeros((2, 5, 3)), [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="of one shape"):
        confidence.confidences([np.zeros((5, 3)), np.zeros((4, 3))], [1, 1])
    with pytest.raises(ValueError, match=r"`logits\[0\]`"):
        confidence.confidences([np.zeros(3)], [1.0])
