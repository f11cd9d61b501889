"""Tests of keras_dynamic.exits.policy."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits import confidence
from keras_dynamic.exits.policy import Policy

GOOD = {
    "kind": "max_probability",
    "temperatures": [1.5, 0.7, 1.0],
    "thresholds": [0.9, 1.0, 0.0],
    "enabled": [True, False, True],
}


def one_by_one(policy, logits):
    """What a device does: exit by exit, one image at a time."""
    taken = []
    for image in range(len(logits[0])):
        for exit, each in enumerate(logits):
            probabilities = confidence.softmax(
                each[image], policy.temperatures[exit]
            )
            if policy.leaves(exit, probabilities):
                taken.append(exit)
                break
    return taken


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    exits=st.integers(1, 5),
    images=st.integers(1, 20),
    classes=st.integers(1, 40),
    dtype=st.sampled_from([np.float32, np.float64]),
    order=st.sampled_from("CF"),
)
def test_route_decides_like_a_device(
    seed, exits, images, classes, dtype, order
):
    rng = np.random.default_rng(seed)
    logits = [
        np.asarray(rng.normal(size=(images, classes)) * 3, dtype, order=order)
        for _ in range(exits)
    ]
    temperatures = rng.uniform(0.5, 3.0, exits).tolist()
    # Thresholds that some image meets exactly: one bit decides.
    thresholds = [
        float(confidence.max_probability(each[rng.integers(images)].copy(), t))
        for each, t in zip(logits, temperatures, strict=True)
    ]
    policy = Policy(
        temperatures=temperatures,
        thresholds=[*thresholds[:-1], 0.0],
        enabled=[*(rng.random(exits - 1) < 0.7).tolist(), True],
    )
    route = policy.route(logits)
    assert route.dtype.kind == "i"
    assert route.tolist() == one_by_one(policy, logits)


def test_leaves_compares_the_largest_probability():
    policy = Policy.from_dict(GOOD)
    probabilities = np.array([[0.9, 0.1], [0.89, 0.11], [0.0, 1.0]])
    assert policy.leaves(0, probabilities).tolist() == [True, False, True]
    assert policy.leaves(1, probabilities).tolist() == [False] * 3
    assert policy.leaves(2, probabilities).tolist() == [True] * 3
    assert not policy.leaves(1, probabilities[2])
    assert policy.leaves(0, probabilities[np.newaxis]).shape == (1, 3)


@pytest.mark.parametrize("exit", [-1, 3])
def test_leaves_rejects_an_exit_that_is_not_there(exit):
    with pytest.raises(ValueError, match=rf"`exit` .* Received: {exit}"):
        Policy.from_dict(GOOD).leaves(exit, np.ones(1))


def test_route_names_the_exit_with_bad_logits():
    policy = Policy.from_dict(GOOD)
    logits = np.zeros((3, 4, 2))
    with pytest.raises(ValueError, match="one array per exit, 3 in all"):
        policy.route(logits[:2])
    logits[1, :2] = np.inf
    with pytest.raises(ValueError, match=r"`logits\[1\]` .* in 2 of 4 rows"):
        policy.route(logits)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(data=st.data(), exits=st.integers(1, 6))
def test_json_keeps_every_bit(data, exits):
    def draw(strategy, size):
        return data.draw(st.lists(strategy, min_size=size, max_size=size))

    policy = Policy(
        temperatures=draw(st.floats(0, exclude_min=True, max_value=50), exits),
        thresholds=[*draw(st.floats(0, 1), exits - 1), 0.0],
        enabled=[*draw(st.booleans(), exits - 1), True],
    )
    assert Policy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


def test_fields_are_plain_values_that_cannot_be_changed():
    policy = Policy(
        temperatures=[np.float32(2), 1],
        thresholds=[np.float64(0.5), 0],
        enabled=[np.True_, True],
    )
    assert policy.to_dict() == {
        "kind": "max_probability",
        "temperatures": [2.0, 1.0],
        "thresholds": [0.5, 0.0],
        "enabled": [True, True],
    }
    assert json.loads(json.dumps(policy.to_dict())) == policy.to_dict()
    assert hash(policy) == hash(Policy.from_dict(policy.to_dict()))
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.thresholds = (0.0, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "entropy"}, r"`kind` must be one of \['max_probability'\]"),
        ({"kind": None}, "`kind` must be one of .* Received: None"),
        ({"temperatures": [1.0, 0.0, 1.0]}, "`temperatures` .* positive"),
        ({"temperatures": [1.0, float("inf"), 1.0]}, "`temperatures` must"),
        ({"temperatures": [1.0, float("nan"), 1.0]}, "`temperatures` must"),
        ({"temperatures": [1.0, "1", 1.0]}, "`temperatures` must"),
        ({"temperatures": 1.0}, "`temperatures` must be a list or tuple"),
        ({"temperatures": "111"}, "`temperatures` must be a list or tuple"),
        ({"temperatures": [1.0, 1.0]}, r"equally long .* \[2, 3, 3\]"),
        ({"thresholds": [1.1, 1.0, 0.0]}, r"`thresholds` .* in \[0, 1\]"),
        ({"thresholds": [-0.1, 1.0, 0.0]}, "`thresholds` must"),
        ({"thresholds": [float("nan"), 1.0, 0.0]}, "`thresholds` must"),
        ({"thresholds": [True, 1.0, 0.0]}, "`thresholds` must"),
        ({"thresholds": [None, 1.0, 0.0]}, "`thresholds` must"),
        ({"thresholds": [0.5, 0.5, 0.5]}, "last of `thresholds` 0.0"),
        ({"thresholds": None}, "`thresholds` must .* Received: None"),
        ({"enabled": [1, 0, 1]}, "`enabled` must .* booleans"),
        ({"enabled": [True, True, False]}, "last of `enabled` must be True"),
        (
            {"temperatures": [], "thresholds": [], "enabled": []},
            "at least one exit",
        ),
        ({"budget": 3}, r"missing \[\], unknown \['budget'\]"),
    ],
)
def test_what_a_policy_does_not_allow_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        Policy.from_dict(GOOD | change)


def test_from_dict_names_missing_keys_and_other_types():
    with pytest.raises(ValueError, match=r"missing \['kind', 'enabled'\]"):
        Policy.from_dict({"temperatures": [1.0], "thresholds": [0.0]})
    with pytest.raises(ValueError, match="must be a mapping"):
        Policy.from_dict([GOOD])


def test_importing_the_exits_imports_no_framework():
    code = (
        "import sys, keras_dynamic.exits\n"
        "heavy = {'keras', 'tensorflow', 'tf_keras', 'apache_beam', 'absl'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
