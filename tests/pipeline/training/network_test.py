import ml_collections
import pytest

from pipeline import config
from pipeline.training import network


def tiny(**changes) -> ml_collections.ConfigDict:
    made = config.load("ranet_digits")
    with made.unlocked():
        made.model.size = 12
        made.model.arguments.update(
            {
                "scales": (1,),
                "growth_factors": (1,),
                "bottleneck_factors": (1,),
                "step": 1,
            }
        )
        made.model.update(changes)
    return made


@pytest.mark.parametrize(("classes", "labels"), [(0, 7), (7, 0), (7, 7)])
def test_built_for_the_classes_of_data_or_configuration(classes, labels):
    model = network.build(tiny(classes=classes), labels)
    assert model.input_shape == (None, 12, 12, 1)
    assert [output.shape for output in model.outputs] == [(None, 7)] * 2


@pytest.mark.parametrize(
    ("classes", "labels", "message"),
    [(0, 0, "must be positive"), (10, 7, "0 or the 7 classes of the data")],
)
def test_classes_must_agree(classes, labels, message):
    with pytest.raises(ValueError, match=message):
        network.build(tiny(classes=classes), labels)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 3}, "unexpected keyword argument 'depth'"),
        ({"classes": 3, "depth": 3}, "'depth'"),
    ],
)
def test_arguments_must_fit_the_family(arguments, message):
    made = tiny()
    with made.unlocked():
        made.model.arguments.update(arguments)
    expected = f"`model.arguments` do not fit 'ranet': .*{message}"
    with pytest.raises(ValueError, match=expected):
        network.build(made, 10)


def test_unknown_family():
    with pytest.raises(ValueError, match=r"one of .*'ranet'.*name='alexnet'"):
        network.build(tiny(family="alexnet"), 10)
