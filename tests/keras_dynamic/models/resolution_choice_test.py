"""A choice of resolutions gives what the chosen network says, at its cost."""

import keras
import numpy as np
import pytest

from keras_dynamic import models, objectives
from keras_dynamic.graph import cost, gating
from tests.support.small_models import ARGUMENTS, small

GIVEN = ARGUMENTS["resolution_choice"]
IMAGES = np.random.default_rng(0).random((6, 16, 16, 3), np.float32)
# What the router says for each network, and the gates that are then open.
SAYS = {
    0: ([9, 0, 0, 0], {"branch0"}),
    1: ([0, 9, 9, 0], {"beyond0", "branch1"}),
    2: ([0, 9, 0, 9], {"beyond0", "beyond1"}),
}


def told(bias) -> keras.Model:
    """The small model, whose router says the same of every image."""
    model = keras.models.clone_model(small("resolution_choice"))
    model.set_weights(small("resolution_choice").get_weights())
    layer = model.get_layer("router_exit_0")
    kernel, _ = layer.get_weights()
    layer.set_weights([0 * kernel, np.float32(bias)])
    return model


@pytest.mark.parametrize("branch", SAYS)
def test_the_answer_is_the_chosen_networks_own(branch):
    model = told(SAYS[branch][0])
    own = keras.Model(
        model.input, model.get_layer(f"size{branch}_exit_0").output
    )
    np.testing.assert_array_equal(
        np.asarray(model(IMAGES)), np.asarray(own(IMAGES))
    )


@pytest.mark.parametrize("branch", SAYS)
def test_the_cost_is_the_routers_and_the_chosen_networks(branch):
    bias, expected = SAYS[branch]
    model = told(bias)
    found = gating.gating(model)
    scores = keras.Model(model.input, list(found.scores)).predict(
        IMAGES, verbose=0
    )
    shares = gating.open_shares(scores)
    opened = {
        name.removesuffix("_gate")
        for name, share in zip(found.names, shares[0], strict=True)
        if share
    }
    assert opened >= expected
    names = ["router_exit_0", f"size{branch}_exit_0"]
    router, own = (
        cost.exit_costs(keras.Model(model.input, model.get_layer(name).output))[
            0
        ].madds
        for name in names
    )
    # Beside them: the fixed numbers of the preferences, which cost none here.
    assert set(gating.dynamic_madds(found, shares)[-1]) == {router + own}


def test_one_of_two_gates_is_open():
    found = gating.gating(small("resolution_choice"))
    model = keras.Model(small("resolution_choice").input, list(found.scores))
    scores = dict(zip(found.names, model(IMAGES), strict=True))
    for k in range(2):
        both = scores[f"branch{k}_gate"] + scores[f"beyond{k}_gate"]
        np.testing.assert_allclose(np.asarray(both), 1, atol=1e-5)


def test_its_cost_can_be_a_target():
    objectives.build("cost_target", target=0.6).extend(
        small("resolution_choice")
    )


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("sizes", (16,)),
        ("sizes", (16, 8)),
        ("router_size", 0),
        ("router", {"family": "absent"}),
        ("router", {"family": "vgg"}),
        ("temperature", 0),
        ("noise", (0.1, 0.5)),
    ],
)
def test_wrong_arguments(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        models.build("resolution_choice", **GIVEN | {argument: value})
