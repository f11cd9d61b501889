"""A cascade of sizes is its networks, one after the other."""

import keras
import numpy as np
import pytest

from keras_dynamic import models
from keras_dynamic.graph import cost
from keras_dynamic.layers import BilinearResize
from keras_dynamic.training import freezing
from tests.support.small_models import ARGUMENTS, small

GIVEN = ARGUMENTS["size_cascade"]
IMAGES = np.random.default_rng(0).random((3, 16, 16, 3), np.float32)


def alone(size: int, **changes) -> keras.Model:
    """The network of one size, as its family builds it."""
    arguments = dict(GIVEN["backbone"]) | changes
    return models.build(
        arguments.pop("family"),
        input_shape=(size, size, 3),
        classes=5,
        **arguments,
    )


@pytest.mark.parametrize("index", [0, 1])
def test_an_exit_is_the_network_on_the_resized_image(index):
    whole, size = small("size_cascade"), GIVEN["sizes"][index]
    network = alone(size)
    for layer in network.layers:
        if layer.weights:
            name = layer.name.replace("exit_0", f"exit_{index}")
            if name == layer.name and not name.startswith("exit_"):
                name = f"size{index}_{name}"
            layer.set_weights(whole.get_layer(name).get_weights())
    seen = BilinearResize(size, size)(IMAGES) if size != 16 else IMAGES
    np.testing.assert_array_equal(
        np.asarray(whole(IMAGES)[index]), np.asarray(network(seen))
    )


def test_costs_are_those_of_the_networks_before_added():
    counted = cost.exit_costs(small("size_cascade"))
    (first,), (second,) = (cost.exit_costs(alone(s)) for s in GIVEN["sizes"])
    assert counted[0].madds == first.madds
    assert counted[1].madds == first.madds + second.madds
    assert counted[1].params == first.params + second.params


def test_networks_share_no_layer():
    model = small("size_cascade")
    names = {layer.name.partition("_")[0] for layer in model.layers}
    assert names == {"image", "size0", "size1", "exit"}
    frozen = {each.name for each in freezing.chosen(model, "backbone")}
    assert not any(name.startswith("exit_") for name in frozen)


def test_a_network_of_several_exits_gives_them_all():
    model = models.build(
        "size_cascade",
        **GIVEN | {"backbone": GIVEN["backbone"] | {"exits": (0, 1)}},
    )
    found = [x._keras_history.operation.name for x in model.outputs]
    assert found == ["exit_0", "exit_1", "exit_2", "exit_3"]


def test_each_network_starts_from_the_same_weights(tmp_path):
    given = {"input_shape": (32, 32, 3), "classes": 1000}
    source = models.build("efficientnet_lite", **given)
    path = str(tmp_path / "some.weights.h5")
    source.save_weights(path)
    model = models.build(
        "size_cascade",
        **given,
        sizes=(24, 32),
        backbone={"family": "efficientnet_lite"},
        weights=path,
    )
    kernel = source.get_layer("stem_conv").get_weights()[0]
    for index in range(2):
        ours = model.get_layer(f"size{index}_stem_conv").get_weights()[0]
        np.testing.assert_array_equal(ours, kernel)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("sizes", ()),
        ("sizes", (16, 10)),
        ("sizes", (10, 10)),
        ("sizes", (0.5, 1)),
        ("backbone", {"family": "absent"}),
        ("backbone", {"family": "vgg", "absent": 1}),
        ("backbone", {"family": "vgg", "classes": 3}),
        # That family has none.
        ("weights", "imagenet"),
    ],
)
def test_wrong_arguments(argument, value):
    named = "backbone" if argument == "weights" else argument
    with pytest.raises(ValueError, match=f"`{named}`"):
        models.build("size_cascade", **GIVEN | {argument: value})
