import functools
import math
import re

import keras
import numpy as np
import pytest

from keras_dynamic.graph import cost
from keras_dynamic.models.resnet import resnet
from pipeline import config
from pipeline.training import network
from tests.support import small_models

# Parameters in millions, Table 6 of the paper. Its shortcuts have none.
PARAMS = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7}

SMALL = small_models.ARGUMENTS["resnet"]


def counted(model: keras.Model) -> cost.ExitCost:
    [row] = cost.exit_costs(model)
    return row


@functools.cache
def published(depth: int) -> keras.Model:
    # Weights without values: shapes are all that is counted.
    with keras.StatelessScope(initialize_variables=False):
        return resnet(
            input_shape=(32, 32, 3), classes=10, blocks=(depth - 2) // 6
        )


def small() -> keras.Model:
    return small_models.small("resnet")


@pytest.mark.parametrize("depth", PARAMS)
def test_parameters_are_the_published_ones(depth):
    model = published(depth)
    shortcuts = sum(
        math.prod(weight.shape)
        for layer in model.layers
        if "shortcut" in layer.name
        for weight in layer.trainable_weights
    )
    params = counted(model).params
    # Projections from 16 to 32 and from 32 to 64 channels, gammas and betas.
    assert shortcuts == 16 * 32 + 32 * 64 + 2 * (32 + 64)
    rounding = 0.05 if depth == 110 else 0.005
    assert (params - shortcuts) / 1e6 == pytest.approx(
        PARAMS[depth], abs=rounding
    )
    assert shortcuts < 0.011 * params


@pytest.mark.parametrize("depth", PARAMS)
def test_a_network_has_6n_plus_2_layers_with_weights(depth):
    weighted = [
        layer
        for layer in published(depth).layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
        and "shortcut" not in layer.name
    ]
    assert len(weighted) == depth


def test_multiply_adds_by_hand():
    n, positions = 3, 32 * 32
    stem = 9 * 3 * 16 * positions
    first = 2 * n * 9 * 16 * 16 * positions
    halved = 9 * 16 * 32 * positions // 4
    same = (2 * n - 1) * 9 * 32 * 32 * positions // 4
    # Both later stages cost the same: twice the channels, half the sides.
    shortcut = 16 * 32 * positions // 4
    total = stem + first + 2 * (halved + same + shortcut) + 64 * 10
    assert counted(published(20)).madds == total == 40_813_184


def test_configurations_span_the_costs_of_the_early_exit_networks():
    def madds(name):
        with keras.StatelessScope(initialize_variables=False):
            model = network.build(config.load(f"resnet_cifar10_{name}"), 0)
        return counted(model).madds / 1e6

    names = ["8_w050", "14_w050", "20_w050", "8", "14", "20", "32", "56"]
    found = list(map(madds, names))
    assert found == sorted(found)
    assert found[0] < 5
    assert 60 < found[-2] < 80


@pytest.mark.parametrize("name", ["8", "14_w050", "56"])
def test_cifar_models_differ_in_their_classes_only(name):
    ours = config.load(f"resnet_cifar10_{name}").model.to_dict()
    theirs = config.load(f"resnet_cifar100_{name}").model.to_dict()
    assert (ours.pop("classes"), theirs.pop("classes")) == (10, 100)
    assert ours == theirs


def test_stages_halve_the_map_at_their_first_block():
    model = resnet(**SMALL | {"widths": (4, 8, 12)})
    shapes = [
        model.get_layer(f"stage{stage}_block{block}_relu").output.shape[1:]
        for stage in range(3)
        for block in range(2)
    ]
    assert shapes == [
        *2 * [(16, 16, 4)],
        *2 * [(8, 8, 8)],
        *2 * [(4, 4, 12)],
    ]


def test_one_exit_and_names_that_say_where_a_layer_is():
    pattern = re.compile(
        r"image|stem_(conv|bn|relu)|exit_0(_pool)?"
        r"|stage\d_block\d_((first|second|shortcut)_(conv|bn)"
        r"|first_relu|add|relu)"
    )
    names = [layer.name for layer in small().layers]
    assert [name for name in names if not pattern.fullmatch(name)] == []
    assert [name for name in names if "shortcut_conv" in name] == [
        "stage1_block0_shortcut_conv"
    ]
    [output] = small().outputs
    assert output.shape == (None, 5)
    assert output._keras_history.operation.name == "exit_0"


def test_a_block_is_relu_of_the_sum_of_input_and_convolutions():
    model = small()
    inner = keras.Model(
        model.input,
        [
            model.get_layer(f"stage0_block{name}").output
            for name in ("0_relu", "1_second_bn", "1_relu")
        ],
    )
    batch = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    before, change, after = map(np.asarray, inner(batch))
    np.testing.assert_array_equal(after, np.maximum(before + change, 0))
    assert (before + change < 0).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": 0}, "`blocks` must be a positive integer.*blocks=0"),
        ({"blocks": 1.5}, "`blocks` must be a positive integer.*=1.5"),
        ({"widths": ()}, "`widths` must hold"),
        ({"widths": (8, 0)}, "`widths` must .* positive integer.*=0"),
        ({"widths": (8, "16")}, "`widths` must .* positive integer.*'16'"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        resnet(**SMALL | changes)
