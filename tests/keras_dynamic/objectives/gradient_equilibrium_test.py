import keras
import numpy as np
import pytest

from keras_dynamic.graph import cost, functional
from keras_dynamic.layers import GradientScale
from keras_dynamic.models import msdnet
from keras_dynamic.objectives import gradient_equilibrium
from keras_dynamic.objectives.cross_entropy import cross_entropy
from tests.support.toy_exits import (
    IMAGES,
    LABELS,
    PIXELS,
    assert_same,
    chain,
    family,
    gradients,
)


def total(logits):
    if not isinstance(logits, list):  # As Keras gives those of one exit.
        logits = [logits]
    return sum(cross_entropy(LABELS, each) for each in logits)


def test_forward_is_equal_to_the_bit():
    model = chain()
    balanced = gradient_equilibrium(model)
    for training in (False, True):
        for ours, theirs in zip(
            balanced(IMAGES, training=training),
            model(IMAGES, training=training),
            strict=True,
        ):
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("exits", [1, 2, 4])
def test_a_block_gets_the_mean_over_the_exits_behind_it(exits):
    model = chain(exits)
    alone = [
        gradients(keras.Model(model.input, output), total)
        for output in model.outputs
    ]
    found = gradients(gradient_equilibrium(model), total)
    for path in found:
        if path.startswith("block"):
            behind = alone[int(path[len("block")]) :]
            mean = np.mean([each[path] for each in behind], axis=0)
            np.testing.assert_allclose(
                found[path], mean, rtol=1e-4, atol=1e-6, err_msg=path
            )


def test_classifiers_learn_as_fast_as_without():
    model = chain()
    assert_same(
        gradients(gradient_equilibrium(model), total),
        gradients(model, total),
        lambda path: path.startswith("exit_"),
    )


def test_of_an_msdnet_it_takes_the_coarsest_scale_alone():
    model = msdnet(
        input_shape=(8, 8, 1),
        classes=3,
        channels=4,
        growth_rate=4,
        growth_factors=(1, 1),
        bottleneck_factors=(1, 1),
        blocks=3,
        base=2,
        step=1,
        head_width=4,
    )
    balanced = gradient_equilibrium(model)
    factors, sources = {}, set()
    for layer in balanced.layers:
        if isinstance(layer, GradientScale):
            factors[layer.name] = layer.factor
            sources.add(functional.producer(layer.input).operation.name)
    assert factors == {
        "exit_0_gradient": 1 / 3,
        "exit_0_gradient_onward": 2,
        "exit_1_gradient": 1 / 2,
        "exit_1_gradient_onward": 1,
    }
    assert sources - set(factors) == {
        "block0_layer1_scale1_concat",
        "block1_layer0_scale1_transition_relu",
    }
    for ours, theirs in zip(balanced(PIXELS), model(PIXELS), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("name", ["ranet", "msdnet"])
def test_weights_names_and_costs_stay(name):
    model = family(name)
    balanced = gradient_equilibrium(model)
    assert balanced.name == model.name
    assert {id(w) for w in balanced.weights} == {id(w) for w in model.weights}
    assert cost.exit_costs(balanced) == cost.exit_costs(model)


def test_a_saved_model_comes_back(tmp_path):
    balanced = gradient_equilibrium(chain())
    balanced.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(loaded(IMAGES), balanced(IMAGES), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_exits_that_read_the_same_feature():
    inputs = keras.Input((5,))
    x = keras.layers.Dense(6, name="block")(inputs)
    logits = [keras.layers.Dense(3, name=f"exit_{k}")(x) for k in range(2)]
    model = keras.Model(inputs, logits)
    plain, found = (
        gradients(each, total) for each in (model, gradient_equilibrium(model))
    )
    for path, gradient in plain.items():
        share = 0.5 if path.startswith("block") else 1.0
        np.testing.assert_allclose(found[path], share * gradient, atol=1e-6)


def test_outputs_without_the_names_are_refused():
    inputs = keras.Input((5,))
    model = keras.Model(inputs, [keras.layers.Dense(3, name="logits")(inputs)])
    with pytest.raises(ValueError, match=r"`exit_0`"):
        gradient_equilibrium(model)


def test_a_feature_of_a_layer_called_twice_is_refused():
    inputs = keras.Input((5,))
    block = keras.layers.Dense(5, name="block")
    x = block(inputs)
    first = keras.layers.Dense(3, name="exit_0")(x)
    second = keras.layers.Dense(3, name="exit_1")(block(x))
    with pytest.raises(ValueError, match="'block', called twice"):
        gradient_equilibrium(keras.Model(inputs, [first, second]))
