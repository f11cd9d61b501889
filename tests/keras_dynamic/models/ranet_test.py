import functools
import itertools
import re

import keras
import numpy as np
import pytest

from keras_dynamic import models
from keras_dynamic.graph import cost
from keras_dynamic.models.ranet import ranet
from pipeline import config
from pipeline.training import network
from tests.support import small_models

# Multiply-adds in millions by the papers' rule, and parameters in millions,
# up to each exit, of the published CIFAR-100 models.
MADDS = {
    "anytime": [15.83, 31.31, 44.69, 50.40, 60.71, 63.72, 90.26, 95.00],
    "model1": [8.37, 21.79, 32.88, 41.57, 53.28, 58.99],
}
PARAMS = {
    "anytime": [0.48, 1.10, 1.51, 1.91, 2.22, 2.52, 2.95, 3.35],
    "model1": [0.36, 0.90, 1.30, 1.80, 2.19, 2.62],
}
# Read off the paper's figure of the ImageNet model.
IMAGENET = [429, 888, 1151, 1348, 2279, 2586, 3230, 3330]

SMALL = small_models.ARGUMENTS["ranet"]


@functools.cache
def costs(name: str) -> tuple[cost.ExitCost, ...]:
    # Weights without values: shapes are all that is counted.
    with keras.StatelessScope(initialize_variables=False):
        return cost.exit_costs(network.build(config.load(name), 0))


def small() -> keras.Model:
    return small_models.small("ranet")


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 20, 20, 3), np.float32)


@pytest.mark.parametrize("model", MADDS)
def test_cifar100_counts_are_the_published_ones(model):
    rows = costs(f"ranet_cifar100_{model}")
    assert [round(row.madds_paper / 1e6, 2) for row in rows] == MADDS[model]
    # Published with two digits, some of them cut and not rounded.
    params = [row.params / 1e6 for row in rows]
    assert params == pytest.approx(PARAMS[model], abs=0.0055)


@pytest.mark.parametrize("model", MADDS)
def test_cifar10_counts_are_within_half_a_percent(model):
    rows = costs(f"ranet_cifar10_{model}")
    counted = [row.madds_paper / 1e6 for row in rows]
    assert counted == pytest.approx(MADDS[model], rel=0.005)


@pytest.mark.parametrize(
    ("model", "width", "positions", "shared"),
    [("model2", 32, 16 * 16, 4), ("model3", 16, 32 * 32, 6)],
)
def test_a_fourth_sub_network_costs_the_first_three_one_convolution(
    model, width, positions, shared
):
    """Nobody published these counts; but they follow from "model1".

    The additional sub-network has the resolution of its neighbour, so the base
    features gain one 3x3 convolution from `width` to `width` channels.
    """
    rows = costs(f"ranet_cifar10_{model}")
    assert len(rows) == 8
    madds = 9 * width * width * positions
    for ours, theirs in zip(rows, costs("ranet_cifar10_model1"), strict=False):
        if ours.exit < shared:
            relus = width * positions
            assert ours.madds == theirs.madds + madds
            assert ours.madds_paper == theirs.madds_paper + madds + relus
            assert ours.params == theirs.params + 9 * width**2 + 2 * width
            assert ours.feature_shape == theirs.feature_shape


def test_imagenet_counts():
    rows = costs("ranet_imagenet_anytime")
    counted = [row.madds_paper / 1e6 for row in rows]
    assert counted[0] == pytest.approx(435, rel=0.005)
    assert counted[-1] == pytest.approx(3333, rel=0.005)
    assert counted == pytest.approx(IMAGENET, rel=0.015)
    assert {row.feature_shape[:2] for row in rows} == {(7, 7)}


def test_imagenet_model1_is_the_same_with_half_the_channels():
    ours = config.load("ranet_imagenet_model1").model.to_dict()
    theirs = config.load("ranet_imagenet_anytime").model.to_dict()
    ours["arguments"]["channels"] *= 2
    assert ours == theirs


@pytest.mark.parametrize("model", ["anytime", "model1", "model2", "model3"])
def test_cifar_models_differ_in_their_classes_only(model):
    ours = config.load(f"ranet_cifar10_{model}").model.to_dict()
    theirs = config.load(f"ranet_cifar100_{model}").model.to_dict()
    assert (ours.pop("classes"), theirs.pop("classes")) == (10, 100)
    assert ours == theirs


@pytest.mark.parametrize(
    "name", ["ranet_cifar100_anytime", "ranet_cifar100_model1", "ranet_digits"]
)
def test_exits_get_dearer_and_see_the_lowest_resolution(name):
    rows = costs(name)
    subs = len(config.load(name).model.arguments.scales)
    assert [row.exit for row in rows] == list(range(2 * subs))
    for before, after in itertools.pairwise(rows):
        assert before.madds < after.madds
        assert before.params < after.params
    assert {row.feature_shape[:2] for row in rows} == {(8, 8)}
    for row in rows:
        assert 0 < row.madds < row.madds_paper


def test_sub_networks_begin_at_their_resolutions():
    shapes = [
        small().get_layer(f"base{sub}_relu").output.shape[1:]
        for sub in range(3)
    ]
    assert shapes == [(5, 5, 8), (10, 10, 8), (20, 20, 4)]


def test_exits_two_per_sub_network():
    model = small()
    assert [output.shape for output in model.outputs] == [(None, 5)] * 6
    names = [output._keras_history.operation.name for output in model.outputs]
    assert names == [f"exit_{k}" for k in range(6)]


def test_layer_names_carry_where_they_are():
    pattern = re.compile(
        r"image|base\d_(conv|bn|relu)"
        r"|sub\d_block\d_(concat|layer\d_\w+|(fuse|transition)_\w+)"
        r"|exit_\d(_[01]_(conv|bn|relu)|_pool)?"
    )
    names = [layer.name for layer in small().layers]
    assert [name for name in names if not pattern.fullmatch(name)] == []
    for expected in (
        "sub0_block0_layer0_conv",
        "sub1_block1_layer0_fuse_conv",
        "sub2_block5_layer0_concat",
        "exit_5_1_conv",
    ):
        assert expected in names
    # Sub-network 2 has six blocks, of which the first four fuse.
    assert "sub2_block3_fuse_conv" in names
    assert "sub2_block4_fuse_conv" not in names


def test_linear_growth_gives_block_b_b_steps():
    changes = {
        "step_mode": "lg",
        "scales": (1, 1),
        "growth_factors": (1, 1),
        "bottleneck_factors": (1, 1),
    }
    model = ranet(**SMALL | changes)
    names = {layer.name for layer in model.layers}
    for block in range(4):
        assert f"sub1_block{block}_layer{block}_conv" in names
        assert f"sub1_block{block}_layer{block + 1}_conv" not in names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scales": (1, 2)}, "`scales`, `growth_factors` and"),
        ({"scales": (3, 2, 1)}, "`scales` must not decrease"),
        ({"scales": (0, 1, 2)}, "`scales` must hold a positive integer"),
        ({"growth_factors": ()}, "`growth_factors` must hold"),
        ({"bottleneck_factors": (1, 1.5, 2)}, "`bottleneck_factors` must hold"),
        ({"step_mode": "linear"}, "`step_mode` must be one of .*'linear'"),
        ({"stem": "cifar"}, "`stem` must be one of .*'cifar'"),
        ({"step": 0}, "`step` must be a positive integer.*step=0"),
        ({"channels": "16"}, "`channels` must be a positive integer.*'16'"),
        ({"head_width": 0}, "`head_width` must be a positive integer"),
        ({"compression": 0.1}, "`compression` must take some"),
        ({"compression": 1.0}, "`compression` must take some"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        ranet(**SMALL | changes)


def test_unknown_family():
    with pytest.raises(ValueError, match=r"'ranet'.*Received: name='rnet'"):
        models.build("rnet")
