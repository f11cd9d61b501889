from importlib import import_module

import keras
import numpy as np
import pytest

from keras_dynamic import models
from keras_dynamic.graph import functional

# The name in the room is that of the function.
applications = import_module("keras_dynamic.models.applications")
GIVEN = {"input_shape": (32, 32, 3), "classes": 3}


def test_all_networks_are_there():
    assert {"ConvNeXtTiny", "MobileNet", "VGG16"} <= {*applications.networks()}


@pytest.mark.parametrize("network", ["MobileNetV2", "DenseNet121", "VGG16"])
def test_the_image_is_brought_to_what_the_network_expects(network, tmp_path):
    keras.utils.set_random_seed(0)
    own = applications.networks()[network](
        include_top=False, weights=None, input_shape=GIVEN["input_shape"]
    )
    own.save_weights(tmp_path / "own.weights.h5")
    model = models.build(
        "applications",
        network=network,
        weights=str(tmp_path / "own.weights.h5"),
        **GIVEN,
    )
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    module = import_module(applications.networks()[network].__module__)
    expected = own(module.preprocess_input(255 * images))
    feature = functional.exit_feature(model.outputs[0], 0)
    found = keras.Model(model.inputs, feature)(images)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=1e-5 * scale)


def test_options_and_exits():
    model = models.build(
        "applications", options={"alpha": 0.35}, at=["block_6_expand"], **GIVEN
    )
    assert [each.shape for each in model.outputs] == [(None, 3)] * 2
    assert model.get_layer("block_6_expand").filters < 192


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("network", "AlexNet"),
        ("options", {"depth": 3}),
        ("input_shape", (32, 32, 1)),
    ],
)
def test_wrong_arguments(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        models.build("applications", **{**GIVEN, argument: value})
