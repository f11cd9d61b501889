import functools
import itertools
import re

import keras
import numpy as np
import pytest

from keras_dynamic.graph import cost
from keras_dynamic.models.msdnet import msdnet
from pipeline import config
from pipeline.training import network
from tests.support import small_models
from tflite.quantization import bridge

# Multiply-adds in millions by the papers' rule, up to each exit.
ANYTIME = [15.14, 25.51, 37.79, 52.06, 62.18]
ANYTIME += [74.07, 87.73, 100.04, 110.12, 121.68]
# Of ImageNet step 7: read off a figure of BoostNet, whose code evaluates every
# scale of a block, and off one of RANet, which shows the lazy costs.
STEP7 = [616, 1436, 2283, 2967, 3254]
STEP7_LAZY = [501, 1340, 2224, 2966]

SMALL = small_models.ARGUMENTS["msdnet"]


@functools.cache
def published(name: str) -> keras.Model:
    # Weights without values: shapes are all that is counted.
    with keras.StatelessScope(initialize_variables=False):
        return network.build(config.load(name), 0)


def millions(rows) -> list[float]:
    return [row.madds_paper / 1e6 for row in rows]


def small() -> keras.Model:
    return small_models.small("msdnet")


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 16, 16, 3), np.float32)


def layers_of(model: keras.Model) -> dict[tuple[int, int], list[int]]:
    """The scales of each layer, by block and layer."""
    found = {}
    for layer in model.layers:
        match = re.fullmatch(
            r"block(\d+)_layer(\d+)_scale(\d+)_concat", layer.name
        )
        if match:
            block, depth, scale = map(int, match.groups())
            found.setdefault((block, depth), []).append(scale)
    return {key: sorted(found[key]) for key in sorted(found)}


def test_cifar100_counts_are_the_published_ones():
    rows = cost.exit_costs(published("msdnet_cifar100_anytime"))
    assert [round(count, 2) for count in millions(rows)] == ANYTIME
    assert rows[-1].params / 1e6 == pytest.approx(4.96, abs=0.005)


def test_cifar10_counts_are_within_half_a_percent():
    rows = cost.exit_costs(published("msdnet_cifar10_anytime"))
    assert millions(rows) == pytest.approx(ANYTIME, rel=0.005)


def test_lazy_evaluation_saves_finer_scales_before_an_exit():
    model = published("msdnet_cifar100_anytime")
    saved = []
    for k, row in enumerate(cost.exit_costs(model)):
        # Has nothing that the exits up to k do not need.
        needed = keras.Model(model.input, model.outputs[: k + 1])
        saved.append(row.madds_paper - cost.exit_costs(needed)[k].madds_paper)
    assert all(count > 0 for count in saved[:7])
    # From exit 7 on, only the coarsest scale is left.
    assert saved[7:] == [0, 0, 0]
    before_exit_0 = {
        layer.name
        for layer in keras.Model(model.input, model.outputs[0]).layers
    }
    for layer, scale in itertools.product(range(4), range(3)):
        needed = layer + 2 - scale <= 3
        assert (f"block0_layer{layer}_scale{scale}_conv" in before_exit_0) == (
            needed
        )


def test_imagenet_counts():
    model = published("msdnet_imagenet_step7")
    rows = cost.exit_costs(model)
    assert millions(rows) == pytest.approx(STEP7, rel=1e-3)
    lazy = [row.madds / 1e6 for row in rows]
    assert lazy[:4] == pytest.approx(STEP7_LAZY, rel=0.02)


def test_imagenet_step4_has_the_published_widths():
    rows = cost.exit_costs(published("msdnet_imagenet_step4"))
    widths = [384, 384, 352, 304, 560]
    assert [row.feature_shape for row in rows] == [(7, 7, w) for w in widths]


@pytest.mark.parametrize("step", [4, 5, 6, 7])
def test_imagenet_models_differ_in_their_steps_only(step):
    ours = config.load(f"msdnet_imagenet_step{step}").to_dict()
    theirs = config.load("msdnet_imagenet_step4").to_dict()
    assert ours.pop("name") == f"msdnet_imagenet_step{step}"
    assert theirs.pop("name") == "msdnet_imagenet_step4"
    arguments = ours["model"]["arguments"]
    assert (arguments["base"], arguments["step"]) == (step, step)
    arguments |= {"base": 4, "step": 4}
    assert ours == theirs


@pytest.mark.parametrize(
    "model", ["anytime", *(f"batch_nb{blocks}" for blocks in range(4, 9))]
)
def test_cifar_models_differ_in_their_classes_only(model):
    ours = config.load(f"msdnet_cifar10_{model}").model.to_dict()
    theirs = config.load(f"msdnet_cifar100_{model}").model.to_dict()
    assert (ours.pop("classes"), theirs.pop("classes")) == (10, 100)
    assert ours == theirs


@pytest.mark.parametrize("blocks", [5, 7])
def test_exit_k_of_a_batch_model_comes_after_the_first_k_numbers(blocks):
    model = published(f"msdnet_cifar10_batch_nb{blocks}")
    counts = [block for block, _ in layers_of(model)]
    assert [counts.count(k) for k in range(blocks)] == [
        k + 1 for k in range(blocks)
    ]
    rows = cost.exit_costs(model)
    assert len(rows) == blocks
    for before, after in itertools.pairwise(rows):
        assert before.madds < after.madds
        assert before.params < after.params
    assert {row.feature_shape[:2] for row in rows} == {(8, 8)}


def test_each_third_of_the_layers_begins_by_dropping_the_finest_scale():
    # 22 layers: thirds of 8, 8 and 6.
    model = published("msdnet_cifar100_anytime")
    scales = list(layers_of(model).values())
    assert scales == [[0, 1, 2]] * 8 + [[1, 2]] * 8 + [[2]] * 6
    names = {layer.name for layer in model.layers}
    transitions = {name for name in names if name.endswith("transition_conv")}
    assert transitions == {
        "block3_layer0_scale1_transition_conv",
        "block3_layer0_scale2_transition_conv",
        "block7_layer0_scale2_transition_conv",
    }
    # The dropped scale feeds the next one a last time.
    assert "block3_layer0_scale1_down_conv" in names
    assert "block3_layer1_scale1_down_conv" not in names


def test_a_layer_adds_half_from_the_finer_scale_and_half_from_its_own():
    concat = small().get_layer("block0_layer0_scale1_concat")
    assert [tensor.shape[1:] for tensor in concat.input] == [
        (8, 8, 8),
        (8, 8, 2),
        (8, 8, 2),
    ]
    finest = small().get_layer("block0_layer0_scale0_concat")
    assert [tensor.shape[1:] for tensor in finest.input] == [
        (16, 16, 4),
        (16, 16, 2),
    ]
    down = small().get_layer("block0_layer0_scale1_down_conv")
    assert down.strides == (2, 2)
    assert down.input.shape[1:] == (16, 16, 2)


def test_a_transition_keeps_half_of_the_channels():
    # 4 + 3 * 2 units at the third layer, of which floor(0.5 * 10) stay.
    transition = small().get_layer("block1_layer0_scale1_transition_conv")
    assert transition.input.shape[1:] == (8, 8, 20)
    assert transition.output.shape[1:] == (8, 8, 10)


def test_one_scale_is_a_dense_network():
    changes = {"growth_factors": (1,), "bottleneck_factors": (1,)}
    model = msdnet(**SMALL | changes | {"growth_rate": 3})
    assert list(layers_of(model).values()) == [[0]] * 6
    assert model.get_layer("block2_layer1_scale0_concat").output.shape[1:] == (
        16,
        16,
        4 + 6 * 3,
    )


def test_one_exit_per_block():
    model = small()
    assert [output.shape for output in model.outputs] == [(None, 5)] * 3
    names = [output._keras_history.operation.name for output in model.outputs]
    assert names == [f"exit_{k}" for k in range(3)]
    rows = cost.exit_costs(model)
    assert {row.feature_shape[:2] for row in rows} == {(4, 4)}


def test_layer_names_carry_where_they_are():
    pattern = re.compile(
        r"image|base\d_(conv|bn|relu|pool)"
        r"|block\d_layer\d_scale\d_((down_)?(reduce_)?|transition_)"
        r"(conv|bn|relu)"
        r"|block\d_layer\d_scale\d_concat"
        r"|exit_\d(_[01]_(conv|bn|relu)|_pool)?"
    )
    for model in (small(), msdnet(**SMALL | {"stem": "imagenet"})):
        names = [layer.name for layer in model.layers]
        assert [name for name in names if not pattern.fullmatch(name)] == []


def test_the_bridge_keeps_its_outputs_and_names():
    keras.utils.set_random_seed(1)
    # The stem with one kind of layer more.
    model = msdnet(**SMALL | {"stem": "imagenet"})
    translated = bridge.to_tf_keras(model)
    assert {layer.name for layer in translated.layers} == {
        layer.name for layer in model.layers
    }
    batch = images(4)
    ours = model(batch, training=False)
    theirs = translated(batch, training=False)
    for ours_k, theirs_k in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            theirs_k.numpy(), np.asarray(ours_k), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"growth_factors": (1, 2)}, "`growth_factors` and `bottleneck_fact"),
        ({"growth_factors": ()}, "`growth_factors` must hold"),
        ({"bottleneck_factors": (1, 1.5, 2)}, "`bottleneck_factors` must hold"),
        ({"growth_rate": 3, "growth_factors": (1, 1, 2)}, "must be even.*=3"),
        ({"step_mode": "lg"}, "`step_mode` must be one of .*'lg'"),
        ({"stem": "cifar"}, "`stem` must be one of .*'cifar'"),
        ({"blocks": 0}, "`blocks` must be a positive integer.*blocks=0"),
        ({"base": -1}, "`base` must be a positive integer.*base=-1"),
        ({"step": 0}, "`step` must be a positive integer.*step=0"),
        ({"channels": "16"}, "`channels` must be a positive integer.*'16'"),
        ({"head_width": 0}, "`head_width` must be a positive integer"),
        ({"reduction": 0.0}, "`reduction` must be a share.*reduction=0.0"),
        ({"reduction": 1.5}, "`reduction` must be a share.*reduction=1.5"),
        ({"reduction": "half"}, "`reduction` must be a share.*'half'"),
        ({"reduction": 0.05}, "`reduction` must leave some .* of 10 channels"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        msdnet(**SMALL | changes)
