import functools
import itertools
import re

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dynamic.graph import cost, functional, gating
from keras_dynamic.layers import Gate
from keras_dynamic.models.lcnet import lcnet

RESNET = {"family": "resnet", "blocks": 1, "widths": (4, 8)}
MODELS = {
    "layers": {},
    "groups": {"channels": "groups", "groups": 2, "layers": False},
    "both": {"channels": "groups", "groups": 2},
    "exits": {
        "channels": "groups",
        "groups": 2,
        "exits": (0,),
        "head_width": 4,
    },
    "mask": {"channels": "mask"},
}


@functools.cache
def small(name: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    return lcnet(
        input_shape=(8, 8, 1), classes=3, backbone=RESNET, **MODELS[name]
    )


def nested() -> keras.Model:
    """Gates in gates, and work that is shared between branches."""
    x = inputs = keras.Input((6,))

    def dense(x, name, units=6):
        return keras.layers.Dense(units, use_bias=False, name=name)(x)

    def gated(y, x, name):
        score = Gate(name=f"{name}_gate")(dense(x, f"{name}_score", 1))
        return keras.layers.Multiply(name=name)([y, score])

    shared = dense(x, "shared")
    # The inner gate looks at what is inside of the outer branch.
    inside = dense(shared, "inside")
    inner = gated(dense(inside, "inner_branch"), inside, "inner")
    outer = gated(dense(inner, "outer_branch"), x, "outer")
    other = gated(dense(shared, "other_branch"), x, "other")
    x = keras.layers.Add(name="sum")([outer, other])
    first = dense(x, "exit_0")
    # Its branch is all there is of it, and an exit reads on the way.
    late_branch = dense(x, "late_branch")
    late = gated(late_branch, x, "late")
    last = dense(keras.layers.Add()([late, late_branch]), "exit_1")
    return keras.Model(inputs, [first, last])


def by_hand(model, closed: set[str]) -> list[int]:
    """Multiply-adds up to each exit with some gates closed, by walking back.

    A call is saved by a closed gate if no way from it to an exit is left once
    the products with this gate are cut off from their branches.
    """

    def needed(outputs, without):
        found, waiting = {}, list(outputs)
        while waiting:
            node = functional.producer(waiting.pop())
            if id(node) in found:
                continue
            found[id(node)] = node
            inputs = list(node.input_tensors)
            if isinstance(node.operation, keras.layers.Multiply):
                gate = functional.producer(inputs[-1]).operation.name
                inputs = inputs[1:] if gate in without else inputs
            waiting.extend(inputs)
        return found

    every = needed(model.outputs, set())
    saved = set()
    for gate in closed:
        saved |= every.keys() - needed(model.outputs, {gate}).keys()
    return [
        sum(
            cost.call_madds(node)
            for key, node in needed(model.outputs[: exit + 1], set()).items()
            if key not in saved
        )
        for exit in range(len(model.outputs))
    ]


@pytest.mark.parametrize("name", ["layers", "groups", "both", "exits", None])
def test_every_pattern_costs_what_it_needs(name):
    model = small(name) if name else nested()
    found = gating.gating(model)
    patterns = list(itertools.product((0, 1), repeat=len(found.names)))
    patterns = np.array(patterns[:: max(1, len(patterns) // 40)], float)
    madds = gating.dynamic_madds(found, patterns)
    assert madds.shape == (len(model.outputs), len(patterns))
    for pattern, counted in zip(patterns, madds.T, strict=True):
        closed = {
            gate
            for gate, value in zip(found.names, pattern, strict=True)
            if not value
        }
        assert counted.tolist() == by_hand(model, closed)


def test_gates_inside_of_gates():
    found = gating.gating(nested())
    saved = dict(zip(found.names, found.saved(), strict=True))
    assert saved == {
        # Its branch alone.
        "inner_gate": 36,
        # Two more dense layers, and the inner gate's score.
        "outer_gate": 36 + 6 + 36 + 36,
        # `shared` is the other branch's, too.
        "other_gate": 36,
        # What it gates is read elsewhere.
        "late_gate": 0,
    }
    assert found.dense - found.always == 36 + 6 + 36 + 36 + 36


@pytest.mark.parametrize("name", MODELS)
def test_with_all_gates_open_it_is_the_dense_cost(name):
    model = small(name)
    found = gating.gating(model)
    dense = gating.dynamic_madds(found, np.ones((2, len(found.names))))
    expected = [row.madds for row in cost.exit_costs(model)]
    np.testing.assert_array_equal(dense, np.transpose([expected, expected]))
    assert found.dense == expected[-1]


def test_what_always_runs_by_hand():
    stem, shortcut, head = 9 * 4 * 64, 4 * 8 * 16, 8 * 3
    pool = 4  # Channels that a gate reads, in both blocks.
    first = 2 * 9 * 4 * 4 * 64
    second = (9 * 4 * 8 + 9 * 8 * 8) * 16
    rest = stem + shortcut + head
    l_net = gating.gating(small("layers"))
    assert l_net.always == rest + 2 * pool
    assert sorted(l_net.saved()) == sorted([first, second])
    c_net = gating.gating(small("groups"))
    assert c_net.always == rest + 4 * pool
    # In branches, C-Net's gates are not computed, either.
    both = gating.gating(small("both"))
    assert both.always == rest + 2 * pool
    assert max(both.saved()) == max(first, second) + 2 * pool


def test_a_mask_counts_a_share_of_the_convolutions_around_it():
    found = gating.gating(small("mask"))
    place = found.names.index("stage1_block0_channels_gate")
    assert found.masks[place]
    convolutions = (9 * 4 * 8 + 9 * 8 * 8) * 16
    shares = np.ones((3, len(found.names)))
    shares[:, place] = 0, 0.25, 1
    [madds] = gating.dynamic_madds(found, shares)
    np.testing.assert_allclose(
        madds, found.dense - convolutions * np.array([1, 0.75, 0])
    )


def test_a_mask_behind_a_depthwise_convolution():
    model = lcnet(
        input_shape=(8, 8, 1),
        classes=3,
        backbone={"family": "mobilenet_v2", "width": 0.25, "downsampling": 4},
        channels="mask",
        layers=False,
    )
    found = gating.gating(model)
    place = found.names.index("stage1_block1_channels_gate")
    # Widen, depthwise, narrow; the map is 8x8.
    assert found.saved()[place] == (2 * 8 * 48 + 9 * 48) * 64


def test_what_is_counted_as_skipped_has_no_influence():
    """Other weights in the layers that do not run give the same logits."""
    keras.utils.set_random_seed(1)
    model = keras.models.clone_model(small("both"))
    closed = {"stage0_block0_gate", "stage1_block0_group1_gate"}
    for layer in model.layers:
        if found := re.fullmatch(r"(.*)_score", layer.name):
            kernel, bias = layer.get_weights()
            bias = 0 * bias + (f"{found[1]}_gate" not in closed)
            layer.set_weights([0 * kernel, bias])
    images = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
    before = np.asarray(model(images))
    skipped = 0
    for layer in model.layers:
        if re.match(
            r"stage0_block0_group|stage1_block0_group1_(?!sc)", layer.name
        ):
            if not layer.weights:
                continue
            layer.set_weights([w + 0.1 for w in layer.get_weights()])
            if isinstance(layer, keras.layers.Conv2D):
                [node] = layer._inbound_nodes
                skipped += cost.call_madds(node)
    np.testing.assert_array_equal(model(images), before)
    found = gating.gating(model)
    scores = keras.Model(model.input, list(found.scores))(images)
    shares = gating.open_shares([np.asarray(each) for each in scores])
    np.testing.assert_array_equal(
        shares, [[name not in closed for name in found.names]] * 4
    )
    [madds] = gating.dynamic_madds(found, shares)
    np.testing.assert_array_equal(madds, found.dense - skipped)


@given(st.integers(0, 2**32 - 1))
def test_more_open_gates_never_cost_less(seed):
    found = gating.gating(small("exits"))
    rng = np.random.default_rng(seed)
    few = rng.integers(0, 2, (5, len(found.names)))
    more = np.maximum(few, rng.integers(0, 2, few.shape))
    ours, theirs = (gating.dynamic_madds(found, x) for x in (few, more))
    assert (ours <= theirs).all()
    assert (ours[0] <= ours[1]).all()
    assert (ours[-1] >= found.always).all()
    assert (theirs[-1] <= found.dense).all()


def test_shares_are_of_scores_above_0():
    scores = [
        np.array([0.0, 1e-6, 1.0]).reshape(3, 1, 1, 1),
        np.array([[0, 0], [0, 0.5], [1, 1]]).reshape(3, 1, 1, 2),
    ]
    np.testing.assert_array_equal(
        gating.open_shares(scores), [[0, 0], [1, 0.5], [1, 1]]
    )


def test_a_model_without_gates():
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(2, name="exit_0")(x))
    found = gating.gating(model)
    assert found.names == ()
    assert found.always == found.dense == 8
    np.testing.assert_array_equal(
        gating.dynamic_madds(found, np.zeros((3, 0))), [[8, 8, 8]]
    )
