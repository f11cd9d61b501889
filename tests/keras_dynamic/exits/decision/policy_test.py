"""Tests of keras_dynamic.exits.decision.policy."""

import dataclasses
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.decision import confidence
from keras_dynamic.exits.decision.kinds import KINDS
from keras_dynamic.exits.decision.policy import Policy, last_exit
from keras_dynamic.exits.decision.scheduler import Scheduler

GOOD = {
    "kind": "max_probability",
    "temperatures": [1.5, 0.7, 1.0],
    "thresholds": [0.9, 1.0, 0.0],
    "enabled": [True, False, True],
}
LEARNED = {"weights": [[1.0] * 4, [1.0] * 5], "biases": [0.0, 0.5]}


def scheduler(rng, exits, classes):
    """Random weights, whose scores lie around the middle."""
    return Scheduler(
        [rng.normal(size=classes + 2 + k).tolist() for k in range(exits)],
        rng.uniform(0.2, 0.8, exits).tolist(),
    )


def one_by_one(policy, logits):
    """What a device does: exit by exit, one image at a time."""
    taken = []
    for image in range(len(logits[0])):
        state = policy.begin()
        for exit, each in enumerate(logits):
            if not policy.looks_at(exit):
                continue
            probabilities = confidence.softmax(
                each[image], policy.temperatures[exit]
            )
            leaves, state = policy.step(exit, probabilities, state)
            if leaves:
                taken.append(exit)
                break
    return taken


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    exits=st.integers(1, 5),
    images=st.integers(1, 20),
    classes=st.integers(1, 40),
    dtype=st.sampled_from([np.float32, np.float64]),
    order=st.sampled_from("CF"),
)
def test_route_decides_like_a_device(
    seed, kind, exits, images, classes, dtype, order
):
    rng = np.random.default_rng(seed)
    logits = [
        np.asarray(rng.normal(size=(images, classes)) * 3, dtype, order=order)
        for _ in range(exits)
    ]
    policy = Policy(
        kind=kind,
        scheduler=scheduler(rng, exits, classes)
        if kind == "scheduler"
        else None,
        temperatures=rng.uniform(0.5, 3.0, exits).tolist(),
        thresholds=[0.0] * exits,
        enabled=[*(rng.random(exits - 1) < 0.7).tolist(), True],
    )
    # Thresholds that some image meets exactly: one bit decides.
    scores = policy.scores(logits)
    bars = [float(rng.choice(each)) for each in scores[:-1]]
    policy = dataclasses.replace(policy, thresholds=[*bars, 0.0])
    route = policy.route(logits)
    assert route.dtype.kind == "i"
    assert route.tolist() == one_by_one(policy, logits)
    bars = np.where(policy.enabled, policy.thresholds, np.inf)
    first = (scores >= bars[:, np.newaxis]).argmax(axis=0)
    np.testing.assert_array_equal(route, first)


@pytest.mark.parametrize(
    ("kind", "score"),
    [
        ("max_probability", confidence.max_probability),
        ("margin", confidence.margin),
        ("entropy", confidence.entropy_confidence),
    ],
)
def test_scores_are_those_of_the_kind(kind, score):
    logits = np.random.default_rng(0).normal(size=(3, 50, 4))
    policy = Policy.from_dict(GOOD | {"kind": kind})
    np.testing.assert_array_equal(
        policy.scores(logits), list(map(score, logits, policy.temperatures))
    )


def test_step_compares_the_score_with_the_threshold():
    policy = Policy.from_dict(GOOD)
    probabilities = np.array([[0.9, 0.1], [0.89, 0.11], [0.0, 1.0]])
    state = policy.begin(3)
    assert policy.step(0, probabilities, state)[0].tolist() == [1, 0, 1]
    assert policy.step(1, probabilities, state)[0].tolist() == [0, 0, 0]
    assert policy.step(2, probabilities, state)[0].tolist() == [1, 1, 1]
    assert not policy.step(1, probabilities[2], policy.begin())[0]
    leaves, _ = policy.step(0, probabilities[np.newaxis], policy.begin(1, 3))
    assert leaves.shape == (1, 3)


def test_a_disabled_exit_is_looked_at_by_those_who_remember():
    for kind in ("max_probability", "margin", "entropy"):
        policy = Policy.from_dict(GOOD | {"kind": kind})
        assert [policy.looks_at(k) for k in range(3)] == [True, False, True]
    policy = Policy.from_dict(GOOD | {"kind": "patience"})
    assert all(map(policy.looks_at, range(3)))


@pytest.mark.parametrize("exit", [-1, 3])
def test_step_rejects_an_exit_that_is_not_there(exit):
    policy = Policy.from_dict(GOOD)
    with pytest.raises(ValueError, match=rf"`exit` .* Received: {exit}"):
        policy.step(exit, np.ones(1), policy.begin())


def test_the_last_exit_takes_all():
    policy = last_exit([1.0, 2.0, 1.0])
    assert policy.temperatures == (1.0, 2.0, 1.0)
    logits = 100.0 * np.random.default_rng(0).normal(size=(3, 20, 4))
    assert policy.route(logits).tolist() == [2] * 20


def test_route_names_the_exit_with_bad_logits():
    policy = Policy.from_dict(GOOD)
    logits = np.zeros((3, 4, 2))
    with pytest.raises(ValueError, match="one array per exit, 3 in all"):
        policy.route(logits[:2])
    logits[1, :2] = np.inf
    with pytest.raises(ValueError, match=r"`logits\[1\]`"):
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


def test_scheduler_and_provenance_are_kept_where_there_are_any():
    policy = Policy(
        kind="scheduler",
        temperatures=[1.0, 1.0],
        thresholds=[0.5, 0.0],
        enabled=[True, True],
        scheduler=Scheduler.from_dict(LEARNED),
        fitted={"rule": "cost_budget", "images": np.int64(7), "ok": True},
    )
    values = json.loads(json.dumps(policy.to_dict()))
    assert values["scheduler"] == LEARNED
    assert values["fitted"] == {"rule": "cost_budget", "images": 7, "ok": True}
    assert Policy.from_dict(values) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert hash(policy) == hash(Policy.from_dict(values))
    plain = Policy.from_dict(GOOD)
    assert plain.to_dict() == GOOD
    assert (plain.scheduler, plain.fitted) == (None, None)


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
        (
            {"kind": "surprise"},
            r"`kind` must be one of \['max_probability', 'margin', 'entropy', "
            r"'patience', 'scheduler'\]. Received: 'surprise'",
        ),
        ({"kind": "scheduler"}, "`scheduler` must be a Scheduler .* NoneType"),
        ({"scheduler": LEARNED}, "`scheduler` must .* for 'max_probability'"),
        (
            {"kind": "scheduler", "scheduler": LEARNED},
            "`scheduler` must have 3 exits.* Received: 2",
        ),
        ({"scheduler": {"weights": []}}, "keys weights and biases"),
        ({"fitted": ["rule"]}, "`fitted` must map names"),
        ({"fitted": {"rule": ["a"]}}, "`fitted` must map names"),
        ({"fitted": {"bound": float("nan")}}, "`fitted` .* finite numbers"),
        ({"fitted": {3: "rule"}}, "`fitted` must map names"),
        ({"kind": None}, "`kind` must be one of .* Received: None"),
        ({"temperatures": [1.0, 0.0, 1.0]}, "`temperatures` .* positive"),
        ({"temperatures": [1.0, float("inf"), 1.0]}, "`temperatures` must"),
        ({"temperatures": [1.0, 10**400, 1.0]}, "`temperatures` must"),
        ({"fitted": {"bound": 10**400}}, "`fitted` .* finite numbers"),
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
