import re

import keras
import numpy as np
import pytest

from keras_dynamic import models, objectives
from keras_dynamic.graph import cost
from keras_dynamic.layers import BasisConv2D, BasisDepthwiseConv2D
from keras_dynamic.models.basisnet import basisnet
from keras_dynamic.training.trainer import Trainer
from pipeline import config
from pipeline.training import network
from tests.support.small_models import ARGUMENTS, small

SMALL = ARGUMENTS["basisnet"]
IMAGES = np.random.default_rng(0).random((6, 16, 16, 3), np.float32)


def graph_only(**changes) -> keras.Model:
    """The small model with other arguments, its weights without values."""
    with keras.StatelessScope(initialize_variables=False):
        return basisnet(**SMALL | changes)


def backbone() -> keras.Model:
    """The plain network that the small model's specialist is made of."""
    arguments = dict(SMALL["specialist"])
    return models.build(
        arguments.pop("family"), input_shape=(16, 16, 3), classes=5, **arguments
    )


def counted(name: str) -> tuple[cost.ExitCost, ...]:
    """The costs of a built-in configuration."""
    with keras.StatelessScope(initialize_variables=False):
        return cost.exit_costs(network.build(config.load(name), labels=0))


def dynamic(model) -> list:
    """The layers whose kernels are combined."""
    kinds = (BasisConv2D, BasisDepthwiseConv2D)
    return [layer for layer in model.layers if isinstance(layer, kinds)]


def test_names_say_which_network_a_layer_is_of():
    names = [layer.name for layer in small("basisnet").layers]
    assert len(set(names)) == len(names)
    pattern = re.compile(
        r"image|basis_(scores|coefficients)|exit_0(_pool)?"
        r"|preview_(resize|stem_.*|stage\d_block0_.*)"
        r"|(stem|top)_.*|bneck\d+_.*|exit_1(_(pool|hidden.*))?"
    )
    assert [name for name in names if not pattern.fullmatch(name)] == []
    outputs = small("basisnet").outputs
    assert [x._keras_history.operation.name for x in outputs] == [
        "exit_0",
        "exit_1",
    ]


def test_stem_squeeze_and_depthwise_keep_one_kernel():
    model = small("basisnet")
    names = {layer.name for layer in dynamic(model)}
    plain = backbone()
    convolutions = {
        layer.name for layer in plain.layers if layer.name.endswith("conv")
    }
    left = convolutions - names
    assert names <= convolutions
    assert left == {
        name
        for name in convolutions
        if {"stem", "squeeze", "depthwise"} & set(name.split("_"))
    }


def test_a_specialist_with_equal_bases_is_its_plain_backbone():
    # The coefficients of a softmax sum to one.
    changes = {"activation": "softmax", "static": ("stem", "squeeze")}
    combined = basisnet(**SMALL | changes)
    plain = backbone()
    for layer in plain.layers:
        name = layer.name.replace("exit_0", "exit_1")
        weights = layer.get_weights()
        if isinstance(
            combined.get_layer(name), BasisConv2D | BasisDepthwiseConv2D
        ):
            weights = [np.stack([weights[0]] * SMALL["bases"])]
        combined.get_layer(name).set_weights(weights)
    np.testing.assert_allclose(
        np.asarray(combined(IMAGES)[1]), np.asarray(plain(IMAGES)), atol=1e-5
    )


def test_exit_1_depends_on_what_the_preview_says():
    model = keras.models.clone_model(small("basisnet"))
    first, second = (np.asarray(each) for each in model(IMAGES))
    scores = model.get_layer("basis_scores")
    scores.bias.assign(scores.bias + np.linspace(-3, 3, scores.units))
    np.testing.assert_array_equal(np.asarray(model(IMAGES)[0]), first)
    assert np.abs(np.asarray(model(IMAGES)[1]) - second).max() > 1e-3


def test_one_vector_for_all_layers_or_one_for_each():
    count = len(dynamic(small("basisnet")))
    assert small("basisnet").get_layer("basis_scores").units == 4 * count
    shared = graph_only(per_layer=False)
    assert shared.get_layer("basis_scores").units == 4
    assert len(dynamic(shared)) == count


def test_one_basis_is_the_plain_backbone_behind_the_preview():
    model = graph_only(bases=1)
    assert dynamic(model) == []
    names = {layer.name for layer in model.layers}
    assert not {"basis_scores", "basis_coefficients"} & names
    assert {"exit_0", "exit_1", "preview_stem_conv"} <= names


def test_what_is_dynamic_can_be_chosen():
    for static, parts in (
        (("stem", "squeeze", "depthwise", "top"), {"expand", "project"}),
        (("stem", "squeeze", "top"), {"expand", "depthwise", "project"}),
    ):
        names = [layer.name for layer in dynamic(graph_only(static=static))]
        assert {name.split("_")[1] for name in names} == parts


def test_the_preview_at_the_resolution_of_the_image():
    names = [layer.name for layer in graph_only(preview_size=16).layers]
    assert "preview_resize" not in names


@pytest.mark.parametrize("family", ["mobilenet_v2", "resnet"])
def test_other_backbones(family):
    options = {
        "mobilenet_v2": {"width": 0.25, "downsampling": 8},
        "resnet": {"blocks": 1, "widths": (4, 8)},
    }[family]
    model = graph_only(specialist={"family": family, **options})
    plain = models.BUILDERS[family](
        input_shape=(16, 16, 3), classes=5, **options
    )
    assert len(dynamic(model)) > 2
    [theirs] = cost.exit_costs(plain)
    kernels = sum(int(np.prod(x.kernel.shape)) for x in dynamic(model))
    first, last = cost.exit_costs(model)
    scores = model.get_layer("basis_scores").kernel.shape
    # Places of the specialist, its kernels, and the scores.
    assert last.madds == first.madds + theirs.madds + kernels + np.prod(scores)
    assert last.params == (
        first.params + theirs.params + kernels * 3 // 4
        + np.prod(scores) + scores[-1]
    )  # fmt: skip
    assert last.feature_shape == theirs.feature_shape


def test_published_backbones_are_inside():
    """As the tests of MobileNetV3 count them: 216.6 and 56.5 million."""
    for size, plain, bases in (("large", 216.6, 16), ("small", 56.5, 8)):
        name = f"basisnet_v3_{size}_imagenet"
        first, last = counted(name)
        with keras.StatelessScope(initialize_variables=False):
            model = network.build(config.load(name), labels=0)
        kernels = sum(np.prod(x.kernel.shape[1:]) for x in dynamic(model))
        scores = np.prod(model.get_layer("basis_scores").kernel.shape)
        rest = last.madds - first.madds - bases * kernels - scores
        assert rest / 1e6 == pytest.approx(plain, abs=0.1)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_training_moves_loss_and_coefficients(activation):
    keras.utils.set_random_seed(0)
    model = basisnet(
        input_shape=(8, 8, 1),
        classes=3,
        preview={"family": "resnet", "blocks": 1, "widths": (4, 8)},
        preview_size=4,
        specialist={"family": "resnet", "blocks": 1, "widths": (4, 8)},
        bases=2,
        activation=activation,
        blend_steps=10,
        dropout=0.1,
    )
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 96)
    images = generator.normal(0.5, 0.1, (96, 8, 8, 1)) + 0.3 * (
        np.indices((8, 8))[0][..., None] // 3 == labels[:, None, None, None]
    )
    images = images.astype(np.float32)
    trainer = Trainer(model, objectives.build("joint"))
    trainer.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
    layer = model.get_layer("basis_coefficients")
    coefficients = keras.Model(model.input, layer.output)
    before = np.stack(coefficients.predict(images, verbose=0))
    history = trainer.fit(images, labels, batch_size=16, epochs=6, verbose=0)
    loss = history.history["loss"]
    assert loss[-1] < 0.5 * loss[0]
    assert int(layer.ramp.seen) == 10
    after = np.stack(coefficients.predict(images, verbose=0))
    assert np.abs(after - before).max() > 0.01
    # They differ between the images.
    assert after.std(axis=1).max() > 0.001
    for each in dynamic(model):
        first, second = each.get_weights()[0]
        assert not np.allclose(first, second)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bases": 0}, "`bases` must be a positive integer.*bases=0"),
        ({"preview_size": 0}, "`preview_size` must be a positive .*=0"),
        ({"preview": {}}, "`preview` must have a `family`, one of .*resnet"),
        (
            {"specialist": {"family": "ranet"}},
            "`specialist` must have a `family`, one of .*'ranet'",
        ),
        (
            {"specialist": {"family": "resnet", "depth": 3}},
            "`specialist` must have the arguments of 'resnet'.*'depth': 3",
        ),
        (
            {"static": ("conv",)},
            "`static` must leave a convolution .*static=.'conv',",
        ),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        graph_only(**changes)
