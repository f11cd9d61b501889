import functools
import re

import keras
import numpy as np
import pytest

from keras_dynamic import models
from keras_dynamic.graph import cost, gating
from keras_dynamic.models.lcnet import lcnet
from tests.support import small_models

IMAGE = {"input_shape": (16, 16, 3), "classes": 5}
RESNET = {"family": "resnet", "blocks": 2, "widths": (4, 8)}
MOBILENET = {"family": "mobilenet_v2", "width": 0.25, "downsampling": 8}
BATCH = np.random.default_rng(0).random((3, 16, 16, 3), np.float32)


def build(backbone=RESNET, **arguments) -> keras.Model:
    keras.utils.set_random_seed(0)
    return lcnet(**IMAGE, backbone=backbone, **arguments)


def plain(backbone) -> keras.Model:
    arguments = dict(backbone)
    return models.build(arguments.pop("family"), **IMAGE, **arguments)


@functools.cache
def l_net() -> keras.Model:
    return build()


def madds(model: keras.Model) -> int:
    return cost.exit_costs(model)[-1].madds


def shut(model: keras.Model, pattern: str) -> None:
    """Closes the gates whose names match, for all images; opens the rest."""
    for layer in model.layers:
        if found := re.fullmatch(r"(.*)_score", layer.name):
            closed = re.fullmatch(pattern, f"{found[1]}_gate")
            kernel, bias, *rest = layer.get_weights()
            layer.set_weights([0 * kernel, 0 * bias + (not closed), *rest])


@pytest.mark.parametrize(
    ("backbone", "blocks"),
    [
        (RESNET, 4),
        # Of 17 blocks 10 have a shortcut; at this width two more, of which
        # one does not widen.
        (MOBILENET, 11),
    ],
)
@pytest.mark.parametrize(
    ("arguments", "gates"),
    [
        ({}, 1),
        ({"channels": "groups", "groups": 2}, 3),
        ({"channels": "groups", "groups": 2, "layers": False}, 2),
        ({"channels": "mask"}, 2),
    ],
)
def test_gates_cost_little_and_nothing_else_is_added(
    backbone, blocks, arguments, gates
):
    model = build(backbone, **arguments)
    names = gating.gating(model).names
    assert len(names) == gates * blocks
    own = sum(
        layer.kernel.shape[-2] * layer.kernel.shape[-1]
        for layer in model.layers
        if layer.name.endswith("_score")
    )
    assert madds(model) == madds(plain(backbone)) + own


def test_open_gates_leave_the_backbone():
    model, static = l_net(), plain(RESNET)
    shut(model, "none")
    for layer in static.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    np.testing.assert_allclose(model(BATCH), static(BATCH), rtol=1e-5)


def test_a_closed_gate_leaves_the_shortcut():
    model = l_net()
    shut(model, r"stage1_block[01]_gate")
    names = (
        "stage0_block1_relu",
        "stage1_block0_shortcut_bn",
        "stage1_block1_relu",
    )
    _, shortcut, after = keras.Model(
        model.input, [model.get_layer(name).output for name in names]
    )(BATCH)
    np.testing.assert_array_equal(after, np.maximum(shortcut, 0))


def test_groups_are_slices_of_the_block():
    """With its weights, and normalisation that changes nothing, they are it."""
    groups = build(channels="groups", groups=2, layers=False)
    static = plain(RESNET)
    shut(groups, "none")
    for layer in groups.layers:
        found = re.fullmatch(
            r"(.*_block\d)_group(\d)_(first|second)_conv", layer.name
        )
        if found:
            block, group, place = found[1], int(found[2]), found[3]
            kernel = static.get_layer(f"{block}_{place}_conv").get_weights()[0]
            axis = 3 if place == "first" else 2
            part = np.split(kernel, 2, axis=axis)[group]
            layer.set_weights([part])
        elif layer.weights and not layer.name.endswith(
            ("_score", "_gate", "_bn")
        ):
            layer.set_weights(static.get_layer(layer.name).get_weights())
    np.testing.assert_allclose(groups(BATCH), static(BATCH), rtol=2e-4)


@pytest.mark.parametrize("closed", [0, 1])
def test_a_closed_group_adds_nothing(closed):
    model = build(channels="groups", groups=2)
    shut(model, rf".*_group{closed}_gate")
    parts = keras.Model(
        model.input,
        [
            model.get_layer(f"stage1_block0_{name}").output
            for name in ("group0_gated", "group1_gated", "gated")
        ],
    )(BATCH)
    *groups, total = map(np.asarray, parts)
    assert not groups[closed].any()
    np.testing.assert_array_equal(total, groups[1 - closed])


def test_a_mask_has_a_score_per_channel():
    model = build(channels="mask", layers=False)
    gate = model.get_layer("stage1_block0_channels_gate")
    assert gate.output.shape == (None, 1, 1, 8)
    gated = model.get_layer("stage1_block0_channels_gated")
    assert gated.output.shape == (None, 8, 8, 8)


@pytest.mark.parametrize(
    ("bias", "spread"), [(0.9, None), (0.9, 0.5), (0.5, 0.1)]
)
def test_scores_start_around_the_bias_and_tell_images_apart(bias, spread):
    model = build(
        channels="groups", groups=2, gate_bias=bias, gate_spread=spread
    )
    found = gating.gating(model)
    images = np.random.default_rng(0).random((64, 16, 16, 3), np.float32)
    scores = keras.Model(model.input, list(found.unclamped))(
        images, training=True
    )
    for score in scores:
        assert score.shape == (64, 1, 1, 1)
        assert len(np.unique(score)) == 64
        # Standardized, they are on the bias exactly.
        near = 0.1 if spread is None else 1e-3
        assert np.mean(score) == pytest.approx(bias, abs=near)
    if spread:
        deviations = [np.std(score) for score in scores]
        # Of noise the means over maps have little variance, and share it.
        assert 0.3 * spread < np.mean(deviations) < 2 * spread


def test_the_gradient_of_gates_is_an_argument():
    for inward in (True, False):
        gate = build(inward_gradient=inward).get_layer("stage0_block0_gate")
        assert gate.inward_gradient == inward


def test_early_exits_are_at_the_ends_of_stages():
    backbone = RESNET | {"widths": (4, 8, 8)}
    model = build(backbone, exits=(0, 1), head_width=None)
    assert [output.shape for output in model.outputs] == 3 * [(None, 5)]
    rows = cost.exit_costs(model)
    assert [row.feature_shape for row in rows] == [
        (16, 16, 4),
        (8, 8, 8),
        (4, 4, 8),
    ]
    names = {layer.name for layer in model.layers}
    assert {"exit_0_1_conv", "exit_1_0_conv", "exit_0", "exit_2"} <= names


def test_names_say_where_a_layer_is():
    model = small_models.small("lcnet")
    pattern = re.compile(
        r"image|stem_(conv|bn|relu)|exit_\d(_pool|_[01]_(conv|bn|relu))?"
        r"|stage\d_block\d_(pool|add|relu|shortcut_(conv|bn)|score|gate|gated"
        r"|group\d_((first|second)_(conv|bn)|first_relu|score|gate|gated|add))"
    )
    names = [layer.name for layer in model.layers]
    assert [name for name in names if not pattern.fullmatch(name)] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": "all"}, "`channels` must be one of .*'mask'.*='all'"),
        ({"gate_bias": 0.0}, "`gate_bias` must be .*positive.*=0.0"),
        ({"gate_spread": 0.0}, "`gate_spread` must be .*positive.*=0.0"),
        ({"head_width": 0}, "`head_width` must be a positive integer"),
        ({"groups": 1}, "`groups` must be an integer above 1.*groups=1"),
        ({"layers": False}, "`layers` or `channels` must be set"),
        ({"exits": (1,)}, r"`exits` must .* from 0 to 0. .*exits=\(1,\)"),
        ({"exits": (0, 0)}, "`exits` must be increasing"),
        (
            {"channels": "groups", "groups": 3},
            "`groups` must divide .*groups=3, 4 channels in stage0_block0",
        ),
        (
            {"backbone": {"family": "vgg"}},
            r"`backbone` must have a `family`, one of .*'resnet'.*'vgg'",
        ),
        ({"backbone": {"blocks": 1}}, "`backbone` must have a `family`"),
        (
            {"backbone": {"family": "resnet", "depth": 2}},
            "`backbone` must have the arguments of 'resnet'.*depth",
        ),
        (
            {"backbone": {"family": "resnet", "blocks": 1, "branch": 2}},
            "`backbone` must have the arguments of 'resnet'",
        ),
        ({"backbone": RESNET | {"blocks": 0}}, "`blocks` must be a positive"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)
