"""BasisNet's layers, in parts that the legacy Keras and XNNPACK have."""

import keras
import numpy as np
import pytest
import tf_keras

from keras_dynamic.layers import (
    BasisCoefficients,
    BasisConv2D,
    BasisDepthwiseConv2D,
)
from tflite.quantization import bridge
from tflite.quantization.layers import basis_coefficients, basis_conv2d

BASES = 3
# Height and width of the map, kernel, strides.
SHAPES = [
    ((6, 6), 1, 1),
    ((7, 5), 1, 2),
    ((6, 6), 3, 1),
    ((7, 6), 3, 2),
    ((6, 7), (5, 3), 1),
    ((8, 9), (3, 5), 2),
]


def network(layer, size=(6, 6)) -> keras.Model:
    """The layer alone, of a map and coefficients."""
    image, alpha = keras.Input((*size, 4)), keras.Input((BASES,))
    return keras.Model([image, alpha], layer([image, alpha]))


def inputs(size=(6, 6)) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(4, *size, 4)).astype(np.float32)
    return [x, generator.dirichlet([0.5] * BASES, 4).astype(np.float32)]


def assert_same(model: keras.Model, batch) -> tf_keras.Model:
    legacy = bridge.to_tf_keras(model)
    for training in (False, True):
        ours = keras.tree.flatten(model(batch))
        theirs = keras.tree.flatten(legacy(batch, training=training))
        for before, after in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(
                after.numpy(), np.asarray(before), rtol=1e-5, atol=1e-5
            )
    return legacy


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("size", "kernel", "strides"), SHAPES)
def test_a_convolution_computes_the_same(size, kernel, strides, padding):
    layer = BasisConv2D(
        5,
        kernel,
        bases=BASES,
        strides=strides,
        padding=padding,
        use_bias=padding == "same",
        bias_initializer="normal",
        name="conv",
    )
    model = network(layer, size)
    legacy = assert_same(model, inputs(size))
    assert legacy.output_shape == model.output_shape
    assert legacy.get_layer("conv").output is legacy.output


def test_outputs_of_small_kernels_use_the_whole_int8_scale():
    layer = BasisConv2D(5, 3, bases=BASES, name="conv")
    model = network(layer)
    shares = np.array([1.0, 0.5, 0.1, 1e-4, 0.0], np.float32)
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * shares, bias])
    legacy = assert_same(model, inputs())
    [bases] = legacy.get_layer("conv.kernel").get_weights()
    largest = np.abs(bases.reshape(-1, 5)).max(axis=0)
    assert (largest[:3] > 0.9 * largest[0]).all()
    factors, _ = legacy.get_layer("conv").get_weights()
    steps = 127 * np.ravel(factors)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
    assert steps.min() == 1


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize(("vectors", "temperature"), [(1, 1.0), (2, 3.0)])
def test_coefficients_are_those_of_inference(activation, vectors, temperature):
    scores = keras.Input((vectors * BASES,))
    layer = BasisCoefficients(
        BASES,
        vectors,
        activation=activation,
        temperature=temperature,
        blend_steps=10,
        dropout=0.5,
    )
    model = keras.Model(scores, layer(scores))
    batch = np.random.default_rng(0).normal(size=(4, vectors * BASES))
    batch = batch.astype(np.float32)
    assert_same(model, batch)


def test_constants_are_not_trained_and_frozen_bases_neither():
    options = {"bases": BASES, "strides": 2, "use_bias": False, "name": "conv"}
    layer = BasisConv2D(5, 3, **options)
    legacy = bridge.to_tf_keras(network(layer))
    learned = [each.name for each in legacy.trainable_variables]
    assert learned == ["conv.kernel/kernel:0"]
    layer.trainable = False
    assert not bridge.to_tf_keras(network(layer)).trainable_variables


def test_a_depthwise_convolution_with_combined_kernels_is_refused():
    layer = BasisDepthwiseConv2D(3, bases=BASES, name="bneck0_depthwise_conv")
    with pytest.raises(bridge.UnsupportedLayerError) as caught:
        bridge.to_tf_keras(network(layer))
    message = str(caught.value)
    assert "XNNPACK" in message
    assert "`static`" in message
    assert "'bneck0_depthwise_conv' of class BasisDepthwiseConv2D" in message


def test_counterparts_are_made_again_from_their_arguments():
    for layer in (
        basis_coefficients.Coefficients(2, "softmax", name="a"),
        basis_coefficients.Slice(1, 3, name="b"),
        basis_conv2d.Taps(3, 2, name="c"),
        basis_conv2d.CombinedKernel(4, 2, name="d"),
    ):
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
