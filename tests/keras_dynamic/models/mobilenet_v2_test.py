import re

import keras
import pytest

from keras_dynamic.graph import cost
from keras_dynamic.models.mobilenet_v2 import mobilenet_v2
from pipeline import config
from pipeline.training import network
from tests.support import small_models

# Multiply-adds and parameters in millions, by width, of the authors' released
# models, which have 1,001 classes.
PUBLISHED = {
    0.35: (59, 1.66),
    0.5: (97, 1.95),
    0.75: (209, 2.61),
    1.0: (300, 3.47),
    1.4: (582, 6.06),
}

SMALL = small_models.ARGUMENTS["mobilenet_v2"]


def counted(name: str) -> cost.ExitCost:
    # Weights without values: shapes are all that is counted.
    with keras.StatelessScope(initialize_variables=False):
        model = network.build(config.load(name), 0)
    [row] = cost.exit_costs(model)
    return row


def small() -> keras.Model:
    return small_models.small("mobilenet_v2")


@pytest.mark.parametrize("width", PUBLISHED)
def test_imagenet_counts_are_the_published_ones(width):
    row = counted(f"mobilenet_v2_imagenet_w{round(100 * width):03}")
    madds, params = PUBLISHED[width]
    assert row.madds / 1e6 == pytest.approx(madds, rel=0.005)
    assert row.params / 1e6 == pytest.approx(params, rel=0.011)
    assert row.feature_shape[:2] == (7, 7)


@pytest.mark.parametrize("width", ["035", "050", "075", "100"])
def test_cifar_models_differ_in_their_classes_only(width):
    ours = config.load(f"mobilenet_v2_cifar10_w{width}").model.to_dict()
    theirs = config.load(f"mobilenet_v2_cifar100_w{width}").model.to_dict()
    assert (ours.pop("classes"), theirs.pop("classes")) == (10, 100)
    assert ours == theirs
    assert counted(f"mobilenet_v2_cifar10_w{width}").feature_shape == (
        4,
        4,
        1280,
    )


def test_stages_end_on_the_channels_of_table_2():
    with keras.StatelessScope(initialize_variables=False):
        model = mobilenet_v2(input_shape=(224, 224, 3), classes=1000)
    blocks = {}
    for layer in model.layers:
        found = re.fullmatch(r"stage(\d)_block(\d)_project_bn", layer.name)
        if found:
            stage, block = map(int, found.groups())
            blocks.setdefault(stage, []).append(layer.output.shape[2:])
            assert block == len(blocks[stage]) - 1
    assert list(blocks.values()) == [
        [(112, 16)],
        2 * [(56, 24)],
        3 * [(28, 32)],
        4 * [(14, 64)],
        3 * [(14, 96)],
        3 * [(7, 160)],
        [(7, 320)],
    ]


def test_a_width_above_1_widens_the_last_convolution_too():
    with keras.StatelessScope(initialize_variables=False):
        wide, narrow = (
            mobilenet_v2(**SMALL | {"width": width}).get_layer("top_conv")
            for width in (1.4, 0.1)
        )
    assert (wide.filters, narrow.filters) == (1792, 1280)


def test_one_exit_and_names_that_say_where_a_layer_is():
    part = r"(expand|depthwise|project)_(conv|bn|relu)"
    pattern = re.compile(
        r"image|(stem|top)_(conv|bn|relu)|exit_0(_pool)?"
        rf"|stage\d_block\d_({part}|add)"
    )
    names = [layer.name for layer in small().layers]
    assert [name for name in names if not pattern.fullmatch(name)] == []
    assert small().output.shape == (None, 5)
    assert small().output._keras_history.operation.name == "exit_0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "`width` must be a finite positive.*width=0"),
        ({"width": -0.5}, "`width` must be a finite positive.*=-0.5"),
        ({"width": float("nan")}, "`width` must be a finite positive.*=nan"),
        ({"width": float("inf")}, "`width` must be a finite positive.*=inf"),
        ({"width": "half"}, "`width` must be a finite positive.*'half'"),
        ({"downsampling": 64}, "`downsampling` must be one of .*32.*=64"),
        ({"downsampling": 3}, "`downsampling` must be one of .*=3"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        mobilenet_v2(**SMALL | changes)
