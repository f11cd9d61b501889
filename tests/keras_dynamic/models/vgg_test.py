import functools
import math
import re

import keras
import numpy as np
import pytest

from keras_dynamic.graph import cost
from keras_dynamic.models.vgg import vgg
from pipeline import config
from pipeline.training import network
from tests.support import small_models

SMALL = small_models.ARGUMENTS["vgg"]
STATIC = ("w038", "w050", "w075", "w100")


def built(name: str) -> keras.Model:
    settings = config.load(name)
    if not settings.model.classes:
        settings.model.classes = 10
    # Weights without values: shapes are all that is counted.
    with keras.StatelessScope(initialize_variables=False):
        return network.build(settings, 0)


@functools.cache
def madds(name: str) -> tuple[float, ...]:
    return tuple(each.madds / 1e6 for each in cost.exit_costs(built(name)))


def test_multiply_adds_by_hand():
    """Stem, then blocks, each with its first convolution before the pool."""
    costs, before, side = [], 9 * 3 * 4 * 16**2, 16
    inner = 4
    heads = [
        9 * 4 * 8 * 4**2 + 9 * 8 * 8 * 2**2 + 8 * 5,
        9 * 8 * 8 * 2**2 + 8 * 5,
        12 * 5,
    ]
    for width, depth, head in zip((4, 8, 12), (1, 2, 3), heads, strict=True):
        before += 9 * inner * width * side**2
        side //= 2
        before += (depth - 1) * 9 * width * width * side**2
        inner = width
        before += head
        costs.append(before)
    found = cost.exit_costs(small_models.small("vgg"))
    assert [each.madds for each in found] == costs


@pytest.mark.parametrize(
    "name", ["vgg_cifar10", "vgg_cifar100", "vgg_digits", "vgg_photos"]
)
def test_the_first_exit_costs_at_most_a_fifth_of_the_last(name):
    first, *_, last = madds(name)
    assert first <= 0.2 * last


def test_static_networks_span_the_costs_of_the_exits():
    found = [madds(f"vgg_cifar10_static_{width}") for width in STATIC]
    assert {len(each) for each in found} == {1}
    costs = [each for (each,) in found]
    assert costs == sorted(costs)
    first, *_, last = madds("vgg_cifar10")
    assert costs[0] < 1.2 * first
    # The whole network but for what early exits cost on the way.
    assert 0.9 * last < costs[-1] < last


@pytest.mark.parametrize("suffix", ["", "_static_w038", "_static_w100"])
def test_cifar_models_differ_in_their_classes_only(suffix):
    ours = config.load(f"vgg_cifar10{suffix}")
    theirs = config.load(f"vgg_cifar100{suffix}")
    assert (ours.model.classes, theirs.model.classes) == (10, 100)
    for settings in (ours, theirs):
        settings.model.classes = 0
    assert ours.model.to_dict() == theirs.model.to_dict()
    assert ours.train.to_dict() == theirs.train.to_dict()


def test_the_static_network_is_trained_by_the_same_recipe():
    ours, theirs = (
        config.load(f"vgg_cifar10{suffix}").train.to_dict()
        for suffix in ("", "_static_w050")
    )
    assert ours.pop("objective_arguments") == {"weights": (0.7, 0.8, 1.0)}
    assert theirs.pop("objective_arguments") == {}
    assert ours == theirs


def test_blocks_halve_the_map_behind_their_first_convolution():
    model = small_models.small("vgg")
    for block, (side, width) in enumerate(
        zip((16, 8, 4), (4, 8, 12), strict=True)
    ):
        before, after = (
            model.get_layer(f"block{block}_{name}").output.shape[1:]
            for name in ("conv0_relu", "pool")
        )
        assert before == (side, side, width)
        assert after == (side // 2, side // 2, width)


def test_names_say_where_a_layer_is():
    pattern = re.compile(
        r"image|stem_(conv|bn|relu)|exit_\d(_pool|_\d_(conv|bn|relu))?"
        r"|block\d_(conv\d_(conv|bn|relu)|pool|add|relu)"
    )
    names = [layer.name for layer in small_models.small("vgg").layers]
    assert [name for name in names if not pattern.fullmatch(name)] == []
    assert [name for name in names if name.endswith("_add")] == ["block2_add"]


def test_a_shortcut_goes_past_the_convolutions_behind_the_pool():
    model = small_models.small("vgg")
    inner = keras.Model(
        model.input,
        [
            model.get_layer(f"block2_{name}").output
            for name in ("pool", "conv2_bn", "relu")
        ],
    )
    batch = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    before, change, after = map(np.asarray, inner(batch))
    np.testing.assert_array_equal(after, np.maximum(before + change, 0))
    assert (before + change < 0).any()


def test_the_exits_that_are_asked_for():
    model = vgg(**SMALL | {"exits": (0, 2), "head_widths": None})
    assert [each.shape for each in model.outputs] == [(None, 5)] * 2
    names = [layer.name for layer in model.layers]
    # One for each block to come, half as wide.
    assert model.get_layer("exit_0_1_conv").filters == 6
    assert not [name for name in names if re.match(r"exit_1_\d", name)]
    features = [each.feature_shape for each in cost.exit_costs(model)]
    assert features == [(8, 8, 4), (2, 2, 12)]


def test_heads_as_wide_as_they_are_told():
    model = vgg(**SMALL | {"head_widths": ((3, 6, 7), (), (5,))})
    heads = {
        layer.name: (layer.filters, layer.strides)
        for layer in model.layers
        if re.match(r"exit_\d_\d_conv", layer.name)
    }
    assert heads == {
        "exit_0_0_conv": (3, (2, 2)),
        "exit_0_1_conv": (6, (2, 2)),
        "exit_0_2_conv": (7, (2, 2)),
        "exit_2_0_conv": (5, (2, 2)),
    }


def test_one_exit_keeps_the_names_and_shapes_of_the_blocks():
    """So that either can start from the other's weights."""
    alone = vgg(**SMALL | {"exits": (2,), "head_widths": None})
    shapes = {
        weight.path: weight.shape
        for weight in small_models.small("vgg").weights
    }
    blocks = [
        weight for weight in alone.weights if not weight.path.startswith("exit")
    ]
    assert blocks
    for weight in blocks:
        assert shapes[weight.path] == weight.shape


def test_a_stem_with_strides_quarters_what_follows():
    def counted(strides):
        model = vgg(**SMALL | {"stem_strides": strides})
        return cost.exit_costs(model)[-1].madds

    # The heads of so small maps cannot shrink with them.
    assert math.isclose(counted(1) / counted(2), 4, rel_tol=0.2)


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"stem_width": 0}, "stem_width"),
        ({"widths": ()}, "widths"),
        ({"widths": (4, 8)}, "widths"),
        ({"depths": (1, 0, 3)}, "depths"),
        ({"stem_strides": 4}, "stem_strides"),
        ({"exits": ()}, "exits"),
        ({"exits": (0, 1)}, "exits"),
        ({"exits": (1, 0, 2)}, "exits"),
        ({"exits": (-1, 2)}, "exits"),
        ({"exits": ("first", 2)}, "exits"),
        ({"head_widths": ((8,), ())}, "head_widths"),
        ({"head_widths": ((8,), (0,), ())}, r"head_widths\[1\]\[0\]"),
        ({"residual": (0,)}, "residual"),
        ({"residual": (3,)}, "residual"),
        ({"input_shape": (7, 16, 3)}, "input_shape"),
    ],
)
def test_bad_arguments(changes, argument):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        vgg(**SMALL | changes)
