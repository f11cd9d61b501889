"""What int8 logits decide without a softmax is what the policy decides."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.decision import confidence
from keras_dynamic.exits.decision.policy import Policy, last_exit
from keras_dynamic.exits.decision.shortcut import shortcut

KINDS = ("max_probability", "margin")


def policy_of(threshold, temperature=1.0, kind="max_probability") -> Policy:
    return Policy(
        kind=kind,
        thresholds=(threshold, 0.0),
        temperatures=(temperature, 1.0),
        enabled=(True, True),
    )


def stepped(policy, scale, logits, exit=0) -> tuple[bool, float]:
    """Returns what the policy itself decides, and by which score."""
    numbers = scale * (logits.astype(np.float64) - 3)
    probabilities = confidence.softmax(numbers, policy.temperatures[exit])
    leaves, _ = policy.step(exit, probabilities, policy.begin())
    return bool(leaves), float(policy._measure(exit, probabilities, None)[0])


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    classes=st.sampled_from((1, 2, 3, 10, 48, 49, 1000)),
    scale=st.floats(1e-4, 1.5),
    temperature=st.floats(0.3, 8),
    kind=st.sampled_from(KINDS),
    threshold=st.floats(0, 1),
    spread=st.sampled_from((1, 4, 128)),
)
def test_decides_as_the_policy(
    seed, classes, scale, temperature, kind, threshold, spread
):
    rng = np.random.default_rng(seed)
    logits = rng.integers(-spread, spread, classes).astype(np.int8)
    _, score = stepped(policy_of(0.0, temperature, kind), scale, logits)
    # Also where the score is the threshold, or next to it.
    nearby = [np.nextafter(score, side) for side in (0.0, 1.0)]
    for bar in (threshold, score, *nearby):
        policy = policy_of(min(float(bar), 1.0), temperature, kind)
        decide = shortcut(policy, 0, scale, classes)
        if decide is None:
            assert not 1e-9 < scale / temperature < 500 / 255
            continue
        said = decide(logits.data)
        if said is not None:
            assert said is stepped(policy, scale, logits)[0]
        elif bar == threshold and abs(score - threshold) > 1e-8:
            raise AssertionError("left to the softmax without need")


@pytest.mark.parametrize("kind", KINDS)
def test_is_sure_but_next_to_the_threshold(kind):
    policy = policy_of(0.5, kind=kind)
    decide = shortcut(policy, 0, 0.1, 3)
    said = [
        decide(np.array(each, np.int8).data)
        for each in itertools.product(range(-128, 128, 17), repeat=3)
    ]
    assert {True, False} <= set(said)
    # Two equal logits, the third far below: half of the probability each.
    assert said.count(None) < len(said) / 10


@pytest.mark.parametrize("classes", [3, 1000])
def test_a_score_on_the_threshold_is_left_to_the_softmax(classes):
    logits = np.zeros(classes, np.int8)
    policy = policy_of(1 / classes)
    assert shortcut(policy, 0, 0.1, classes)(logits.data) is None


def test_nobody_stops_at_a_disabled_exit_and_all_at_the_last():
    logits = np.array([127, -128], np.int8)
    policy = last_exit((1.0, 1.0))
    assert shortcut(policy, 0, 0.5, 2)(logits.data) is False
    assert shortcut(policy, 1, 0.5, 2)(logits.data) is True


@pytest.mark.parametrize("scale", [0.0, 1e-12, 2.0, 1e9])
def test_weights_that_doubles_cannot_hold_are_left_to_the_softmax(scale):
    assert shortcut(policy_of(0.5), 0, scale, 3) is None


@pytest.mark.parametrize("kind", ["entropy", "patience"])
def test_other_measures_are_left_to_the_softmax(kind):
    assert shortcut(policy_of(0.5, kind=kind), 0, 0.1, 3) is None
