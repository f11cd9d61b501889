"""Models that came out int8 and wrong, without a word."""

import keras
import numpy as np
import pytest

from tests.support import quantized_networks
from tflite.format import int8_only
from tflite.quantization import methods

layers = keras.layers


def fused_sigmoid(x):
    return layers.Conv2D(8, 3, activation="sigmoid")(x)


def fused_softmax(x):
    pooled = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(8, activation="softmax")(pooled)


def fused_swish(x):
    return layers.Conv2D(8, 3, activation="silu")(x)


def shared_layer(x):
    shared = layers.Conv2D(8, 3, padding="same")
    x = shared(x)
    # Of another range than the first.
    x = layers.ReLU()(shared(layers.BatchNormalization()(x)))
    return shared(x)


def negative_slope(x):
    return layers.ReLU(negative_slope=0.2)(x)


def underscored_operations(x):
    x = layers.Conv2D(8, 1, name="_hidden")(x)
    return keras.ops.relu(x) * 0.5 + x


BODIES = [
    fused_sigmoid,
    fused_softmax,
    fused_swish,
    shared_layer,
    negative_slope,
    underscored_operations,
]
# What tfmot has no form of it says itself.
BY_TFMOT = [fused_sigmoid, fused_softmax, shared_layer, underscored_operations]
CASES = [
    *((body, "keras") for body in BODIES),
    *((body, "ptq") for body in BODIES),
    *((body, "tfmot") for body in BY_TFMOT),
]


@pytest.mark.parametrize(("body", "method"), CASES)
def test_it_agrees_with_float(body, method, tmp_path):
    model = quantized_networks.two_exits(body)
    found = quantized_networks.converted(model, method, tmp_path)
    assert int8_only.exceptions(found.model) == []
    assert found.agreement(quantized_networks.logits(model)) > 0.99


@pytest.mark.parametrize("method", methods.NAMES)
def test_a_softmax_at_an_exit_is_left_out(method, tmp_path):
    model = quantized_networks.two_exits(layers.ReLU())
    probable = keras.Model(
        model.inputs, [layers.Softmax()(each) for each in model.outputs]
    )
    found = quantized_networks.converted(probable, method, tmp_path)
    assert found.agreement(quantized_networks.logits(model)) > 0.99
    assert np.abs(found.int8.sum(axis=-1) - 1).max() > 0.1


def test_probabilities_of_what_has_no_graph_are_refused(tmp_path):
    model = quantized_networks.two_exits(layers.ReLU())
    hidden = keras.Model(
        model.inputs,
        [
            layers.Lambda(lambda x: keras.ops.softmax(x))(each)
            for each in model.outputs
        ],
    )
    with pytest.raises(ValueError, match="`model`"):
        quantized_networks.converted(hidden, "ptq", tmp_path)
