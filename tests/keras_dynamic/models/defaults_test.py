"""Every family is a network with its input's shape and its classes alone."""

import inspect

import keras
import pytest

from keras_dynamic import models
from keras_dynamic.graph import cost
from pipeline import config

# What its docstring says that the defaults are; where they differ, in what.
PUBLISHED = {
    "mobilenet_v2": ("mobilenet_v2_imagenet_w100", {}),
    "mobilenet_v3": ("mobilenet_v3_small_imagenet_w100", {}),
    "msdnet": ("msdnet_cifar10_anytime", {}),
    "ranet": ("ranet_cifar10_anytime", {}),
    "resnet": ("resnet_cifar10_20", {}),
    "ghost_regnet": ("ghost_regnet_imagenet_032", {}),
    "ghostnet": ("ghostnet_imagenet_w100", {}),
    "efficientnet_lite": ("efficientnet_lite0_imagenet", {}),
    "basisnet": (
        "basisnet_cifar10",
        {"activation": "softmax", "blend_steps": 0},
    ),
    "resolution_choice": (
        "resolution_choice_cifar10",
        {"annealing_steps": 0, "weights": None},
    ),
    "size_cascade": ("size_cascade_cifar10", {}),
    "vgg": ("vgg_cifar10", {"residual": (), "head_widths": None}),
    "lcnet": (
        "lcnet_cifar10_20",
        {"channels": None, "groups": 4, "annealing_steps": 0},
    ),
}


# A file has to be named.
@pytest.mark.parametrize("family", sorted({*models.BUILDERS} - {"keras_file"}))
def test_input_shape_and_classes_are_enough(family):
    # Weights without values: what is built is all that is asked about.
    with keras.StatelessScope(initialize_variables=False):
        model = models.build(family, input_shape=(32, 32, 3), classes=3)
    assert {output.shape for output in model.outputs} == {(None, 3)}
    costs = [each.madds for each in cost.exit_costs(model)]
    assert costs == sorted({*costs})


@pytest.mark.parametrize("family", PUBLISHED)
def test_defaults_are_the_configuration_that_the_docstring_names(family):
    name, changed = PUBLISHED[family]
    builder = models.BUILDERS[family]
    assert name in builder.__doc__
    told = config.load(name).model.arguments.to_dict() | changed
    defaults = inspect.signature(builder).parameters
    for argument, value in told.items():
        found = defaults[argument].default
        if argument == "exits" and family == "vgg":
            found = tuple(range(len(told["widths"])))  # None: every block.
        if argument == "backbone":
            # The others are those of the backbone itself, or start values.
            value = {key: value[key] for key in found}
        assert found == value, argument
