import keras
import pytest

from keras_dynamic.graph import cost
from keras_dynamic.models.ghost_regnet import ghost_regnet
from pipeline import config
from pipeline.training import network
from tests.support import small_models

SMALL = small_models.ARGUMENTS["ghost_regnet"]

# Sizes of the authors' code, and the multiply-adds that they published, in
# billions; the first is the configuration.
PUBLISHED = {
    "3.2GF": ({}, 1.8),
    "4.0GF": (
        {
            "depths": (2, 5, 14, 2),
            "widths": (80, 240, 560, 1360),
            "group_width": 40,
        },
        2.2,
    ),
    "8.0GF": (
        {
            "depths": (2, 5, 15, 1),
            "widths": (80, 240, 720, 1920),
            "group_width": 120,
        },
        4.2,
    ),
}


def counted(**changes) -> cost.ExitCost:
    with keras.StatelessScope(initialize_variables=False):
        model = ghost_regnet(input_shape=(224, 224, 3), classes=1000, **changes)
    [row] = cost.exit_costs(model)
    return row


@pytest.mark.parametrize("size", PUBLISHED)
def test_counts_are_the_published_ones(size):
    changes, madds = PUBLISHED[size]
    assert counted(**changes).madds / 1e9 == pytest.approx(madds, abs=0.06)


def test_the_configuration_is_the_published_network():
    with keras.StatelessScope(initialize_variables=False):
        model = network.build(config.load("ghost_regnet_imagenet_032"), 0)
    [row] = cost.exit_costs(model)
    assert row.madds == counted().madds
    assert row.feature_shape == (7, 7, 1008)


def test_only_long_stages_have_halves():
    with keras.StatelessScope(initialize_variables=False):
        model = ghost_regnet(input_shape=(224, 224, 3), classes=1000)
    names = {layer.name for layer in model.layers}
    halved = {stage for stage in range(4) if f"stage{stage}_concat" in names}
    assert halved == {1, 2}
    raw = model.get_layer("stage2_block7_grouped_conv")
    assert (raw.filters, raw.groups) == (216, 6)
    assert model.get_layer("stage2_block14_grouped_conv").groups == 9
    # The mean of the first block, both halves, and of 13 blocks of the raw one.
    assert model.get_layer("stage2_mix_0_conv").input.shape == (
        None,
        1,
        1,
        432 + 13 * 216,
    )


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"depths": ()}, "depths"),
        ({"widths": (8,)}, "widths"),
        ({"widths": (12, 16)}, "widths"),
        ({"widths": (16, 8), "group_width": 16}, "widths"),
        ({"group_width": 0}, "group_width"),
        ({"stem_strides": 3}, "stem_strides"),
        ({"at": ("stage9_block0_relu",)}, "at"),
    ],
)
def test_bad_arguments(changes, argument):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        ghost_regnet(**SMALL | changes)
