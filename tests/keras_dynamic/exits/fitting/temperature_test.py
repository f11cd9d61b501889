"""Tests of keras_dynamic.exits.fitting.temperature."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.decision import confidence
from keras_dynamic.exits.fitting import temperature


def nll(logits, labels, at):
    probabilities = confidence.softmax(logits, at)
    return -np.log(probabilities[np.arange(len(labels)), labels]).mean()


def sample(seed, images, classes, at):
    """Logits, and labels drawn from their softmax at a temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(images, classes)) * 3.0
    noise = rng.gumbel(size=logits.shape)
    return logits, np.argmax(logits / at + noise, axis=1)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    images=st.integers(2, 200),
    classes=st.integers(2, 6),
    at=st.floats(0.02, 50.0),
)
def test_no_temperature_within_the_bounds_is_better(seed, images, classes, at):
    logits, labels = sample(seed, images, classes, at)
    fit = temperature.fit_temperature(logits, labels)
    assert fit.nll_before == pytest.approx(nll(logits, labels, 1.0), rel=1e-9)
    assert fit.nll_after == pytest.approx(
        nll(logits, labels, fit.temperature), rel=1e-9
    )
    if fit.status == "degenerate":
        assert (fit.temperature, fit.nll_after) == (1.0, fit.nll_before)
        return
    grid = np.geomspace(temperature.LOWEST, temperature.HIGHEST, 300)
    best = min(nll(logits, labels, each) for each in grid)
    assert fit.nll_after <= best * (1 + 1e-12)
    at_bound = fit.temperature in (temperature.LOWEST, temperature.HIGHEST)
    assert fit.status == ("at_bound" if at_bound else "converged")


@pytest.mark.parametrize("at", [0.3, 1.0, 4.0])
def test_the_temperature_of_the_labels_is_found(at):
    logits, labels = sample(0, 20_000, 10, at)
    fit = temperature.fit_temperature(logits.astype(np.float32), labels)
    assert fit.status == "converged"
    assert fit.temperature == pytest.approx(at, rel=0.03)


def test_honest_logits_keep_their_temperature():
    logits = np.array([[np.log(3.0), 0.0]] * 4)
    fit = temperature.fit_temperature(logits, np.array([0, 0, 0, 1]))
    assert fit.status == "converged"
    assert fit.temperature == pytest.approx(1.0, rel=1e-9)


def test_scaled_logits_scale_the_temperature():
    logits, labels = sample(1, 500, 5, 1.0)
    once = temperature.fit_temperature(logits, labels)
    thrice = temperature.fit_temperature(3.0 * logits + 7.0, labels)
    assert thrice.temperature == pytest.approx(3 * once.temperature, rel=1e-8)
    assert thrice.nll_after == pytest.approx(once.nll_after, rel=1e-9)


@pytest.mark.parametrize(
    ("scale", "bound"),
    [(1e-3, temperature.LOWEST), (1e3, temperature.HIGHEST)],
)
def test_a_minimum_beyond_a_bound_is_reported(scale, bound):
    logits, labels = sample(2, 300, 4, 1.0)
    fit = temperature.fit_temperature(scale * logits, labels)
    assert (fit.status, fit.temperature) == ("at_bound", bound)
    assert fit.nll_after < fit.nll_before


@pytest.mark.parametrize(
    "labels", [[0, 1, 2], [1, 1, 1], [1, 2, 0]], ids=["right", "one", "wrong"]
)
def test_labels_that_cannot_tell_leave_the_temperature_at_one(labels):
    fit = temperature.fit_temperature(np.eye(3), np.array(labels))
    assert (fit.status, fit.temperature) == ("degenerate", 1.0)
    assert fit.nll_after == fit.nll_before


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros(3), [0, 1, 0], r"`logits` must be \[N, C\]"),
        (np.zeros((0, 3)), [], r"`logits` must be \[N, C\]"),
        (np.full((2, 2), np.nan), [0, 1], "in 2 of 2 rows"),
        (np.zeros((2, 2)), [0, 1, 0], "`labels` must be integers of shape"),
        (np.zeros((2, 2)), [0.0, 1.0], "`labels` must be integers of shape"),
        (np.zeros((2, 2)), [0, 2], r"`labels` must lie in \[0, 2\)"),
        (np.zeros((2, 2)), [-1, 1], r"`labels` must lie in \[0, 2\)"),
    ],
)
def test_bad_arguments_are_named(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        temperature.fit_temperature(logits, labels)
