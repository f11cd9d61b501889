import keras
import numpy as np
import pytest

from keras_dynamic import models
from keras_dynamic.models.lcnet import lcnet
from keras_dynamic.weights import channel_groups, transfer

IMAGE = {"input_shape": (16, 16, 3), "classes": 5}
BACKBONES = {
    "resnet": {"family": "resnet", "blocks": 2, "widths": (4, 8)},
    "mobilenet_v2": {
        "family": "mobilenet_v2",
        "width": 0.25,
        "downsampling": 8,
    },
}
BATCH = np.random.default_rng(0).random((16, 16, 16, 3), np.float32)


def trained(family: str) -> keras.Model:
    """A plain network whose normalizations all differ."""
    keras.utils.set_random_seed(0)
    arguments = dict(BACKBONES[family])
    model = models.build(arguments.pop("family"), **IMAGE, **arguments)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, gamma.shape),
                    rng.normal(0, 0.2, beta.shape),
                    rng.normal(0, 0.2, mean.shape),
                    rng.uniform(0.5, 2.0, variance.shape),
                ]
            )
    return model


def grouped(family: str, groups: int) -> keras.Model:
    """With groups, whose gates are wide open."""
    model = lcnet(
        **IMAGE,
        backbone=BACKBONES[family],
        layers=False,
        channels="groups",
        groups=groups,
    )
    for layer in model.layers:
        if layer.name.endswith("_score"):
            kernel, bias, *rest = layer.get_weights()
            layer.set_weights([0 * kernel, 0 * bias + 1, *rest])
    return model


@pytest.mark.parametrize("family", BACKBONES)
@pytest.mark.parametrize("groups", [2, 4])
def test_groups_together_are_the_block(family, groups):
    source, model = trained(family), grouped(family, groups)
    others = transfer.fitting(source, model.layers)
    transfer.copy_weights(source, others)
    slices = channel_groups.copy_slices(source, model)
    given = {layer.name for layer in [*others, *slices]}
    gates = ("_score", "_gate")
    weighted = {
        layer.name
        for layer in model.layers
        if layer.weights and not layer.name.endswith(gates)
    }
    assert given == weighted
    assert {layer.name for layer in slices} == {
        name for name in weighted if "_group" in name
    }
    np.testing.assert_allclose(
        model.predict_on_batch(BATCH),
        source.predict_on_batch(BATCH),
        rtol=1e-3,
        atol=1e-4,
    )


def test_what_does_not_fit_stays_as_it_is():
    model = grouped("resnet", 2)
    keras.utils.set_random_seed(0)
    wider = models.build("resnet", **IMAGE, blocks=1, widths=(4, 12))
    before = {each.name: each.get_weights() for each in model.layers}
    copied = {each.name for each in channel_groups.copy_slices(wider, model)}
    # The first block of the first stage fits, the second is not there.
    assert copied == {
        f"stage0_block0_group{group}_{layer}"
        for group in (0, 1)
        for layer in ("first_conv", "first_bn", "second_conv", "second_bn")
    }
    for layer in model.layers:
        if layer.name not in copied:
            for now, then in zip(
                layer.get_weights(), before[layer.name], strict=True
            ):
                np.testing.assert_array_equal(now, then)
