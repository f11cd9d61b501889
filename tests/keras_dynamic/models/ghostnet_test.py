import keras
import pytest

from keras_dynamic.graph import cost
from keras_dynamic.models.ghostnet import ghostnet
from pipeline import config
from pipeline.training import network
from tests.support import small_models

# Multiply-adds and parameters in millions, as the authors published them (the
# paper's Table 7; for 1.0 its text has 142, too). They count kernels, as here.
PUBLISHED = {0.5: (42, 2.6), 1.0: (142, 5.2), 1.3: (226, 7.3)}

SMALL = small_models.ARGUMENTS["ghostnet"]


def counted(name: str) -> tuple[cost.ExitCost, ...]:
    # Weights without values: shapes are all that is counted.
    with keras.StatelessScope(initialize_variables=False):
        return cost.exit_costs(network.build(config.load(name), 0))


@pytest.mark.parametrize("width", PUBLISHED)
def test_imagenet_counts_are_the_published_ones(width):
    [row] = counted(f"ghostnet_imagenet_w{round(100 * width):03}")
    madds, params = PUBLISHED[width]
    assert row.madds / 1e6 == pytest.approx(madds, rel=0.01)
    assert row.params / 1e6 == pytest.approx(params, rel=0.01)
    assert row.feature_shape[:2] == (7, 7)


@pytest.mark.parametrize("classes", [10, 100])
def test_cifar_has_a_cheap_first_exit_and_ends_in_4x4(classes):
    costs = counted(f"ghostnet_cifar{classes}")
    assert [each.feature_shape[:2] for each in costs] == [
        (16, 16),
        (8, 8),
        (4, 4),
    ]
    assert costs[0].madds < 0.22 * costs[-1].madds
    [static] = counted(f"ghostnet_cifar{classes}_w100")
    heads = costs[-1].madds - static.madds
    assert 0 < heads < 0.15 * static.madds


def test_half_of_a_ghost_module_is_made_from_the_other_half():
    with keras.StatelessScope(initialize_variables=False):
        model = ghostnet(input_shape=(224, 224, 3), classes=1000)
    primary = model.get_layer("ghost12_expand_primary_conv")
    cheap = model.get_layer("ghost12_expand_cheap_conv")
    assert (primary.filters, primary.kernel_size) == (480, (1, 1))
    assert cheap.input is (
        model.get_layer("ghost12_expand_primary_relu").output
    )
    assert cheap.kernel.shape == (3, 3, 480, 1)
    joined = model.get_layer("ghost12_expand_concat")
    assert joined.output.shape[-1] == 960
    # The narrowing module is linear.
    names = {layer.name for layer in model.layers}
    assert "ghost12_project_cheap_relu" not in names


def test_blocks_are_those_of_the_table():
    with keras.StatelessScope(initialize_variables=False):
        model = ghostnet(input_shape=(224, 224, 3), classes=1000)
    names = {layer.name for layer in model.layers}
    ends = [model.get_layer(f"ghost{block}_add").output for block in range(16)]
    assert [tuple(end.shape[2:]) for end in ends] == [
        (112, 16),
        (56, 24),
        (56, 24),
        (28, 40),
        (28, 40),
        *[(14, 80)] * 4,
        *[(14, 112)] * 2,
        *[(7, 160)] * 5,
    ]
    squeezed = {
        block for block in range(16) if f"ghost{block}_squeeze_pool" in names
    }
    assert squeezed == {3, 4, 9, 10, 11, 13, 15}
    layer = model.get_layer("ghost3_squeeze_reduce_conv")
    assert (layer.input.shape[-1], layer.filters) == (72, 20)


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"width": 0.0}, "width"),
        ({"downsampling": 5}, "downsampling"),
        ({"at": ("ghost99_add",)}, "at"),
        ({"head": "wide"}, "head"),
        ({"head_width": 0}, "head_width"),
    ],
)
def test_bad_arguments(changes, argument):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        ghostnet(**SMALL | changes)
