"""The layers whose kernels are combined for each image."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_dynamic.layers import BasisConv2D, BasisDepthwiseConv2D

BASES = 3
# Height and width of the map, kernel, strides.
SHAPES = [
    ((6, 6), 1, 1),
    ((7, 5), 1, 2),
    ((6, 6), 3, 1),
    ((7, 6), 3, 2),
    ((6, 7), (5, 3), 1),
    ((8, 9), (3, 5), (2, 2)),
]
CASES = [
    (kind, size, padding, bias)
    for kind in ("full", "depthwise")
    for size in SHAPES
    for padding, bias in (("same", True), ("valid", False))
]


def pair(kind, size, padding, bias):
    """A layer, the plain one of the same kernel, and what enters both."""
    sides, kernel_size, strides = size
    options = {
        "kernel_size": kernel_size,
        "strides": strides,
        "padding": padding,
        "use_bias": bias,
        "bias_initializer": "normal",
    }
    if kind == "full":
        layer = BasisConv2D(4, bases=BASES, **options)
        plain = keras.layers.Conv2D(4, **options)
    else:
        layer = BasisDepthwiseConv2D(bases=BASES, **options)
        plain = keras.layers.DepthwiseConv2D(**options)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(5, *sides, 6)).astype(np.float32)
    coefficients = generator.dirichlet([0.5] * BASES, 5).astype(np.float32)
    return layer, plain, x, coefficients


def one_by_one(layer, plain, x, coefficients) -> np.ndarray:
    """Each image alone, through the plain layer with its own kernel."""
    outputs = []
    kernel, *bias = layer.get_weights()
    plain.build((1, *x.shape[1:]))
    for image, alpha in zip(x, coefficients, strict=True):
        plain.set_weights([np.tensordot(alpha, kernel, 1), *bias])
        outputs.append(np.asarray(plain(image[None])))
    return np.concatenate(outputs)


@pytest.mark.parametrize(("kind", "size", "padding", "bias"), CASES)
def test_equals_each_image_alone(kind, size, padding, bias):
    layer, plain, x, coefficients = pair(kind, size, padding, bias)
    ours = np.asarray(layer([x, coefficients]))
    theirs = one_by_one(layer, plain, x, coefficients)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    shapes = [(None, *x.shape[1:]), (None, BASES)]
    assert layer.compute_output_shape(shapes) == (None, *theirs.shape[1:])


@pytest.mark.parametrize(("kind", "size", "padding", "bias"), CASES)
def test_gradients_are_those_of_each_image_alone(kind, size, padding, bias):
    layer, _, x, coefficients = pair(kind, size, padding, bias)
    layer.build([x.shape, coefficients.shape])
    kernel = layer.kernel.value
    x, coefficients = tf.constant(x), tf.constant(coefficients)
    convolve = {
        "full": keras.ops.conv,
        "depthwise": keras.ops.depthwise_conv,
    }[kind]

    def reference():
        outputs = tf.concat(
            [
                convolve(
                    x[i : i + 1],
                    tf.tensordot(coefficients[i], kernel, 1),
                    strides=layer.strides,
                    padding=padding,
                )
                for i in range(len(x))
            ],
            axis=0,
        )
        return outputs + layer.bias.value if bias else outputs

    found = []
    for run in (lambda: layer([x, coefficients]), reference):
        with tf.GradientTape() as tape:
            tape.watch([x, coefficients])
            loss = tf.reduce_sum(tf.sin(run()))
        found.append(tape.gradient(loss, [x, coefficients, kernel]))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["full", "depthwise"])
def test_saved_layer_comes_back(kind, tmp_path):
    layer, _, x, coefficients = pair(kind, SHAPES[3], "same", True)
    inputs = [keras.Input(x.shape[1:]), keras.Input((BASES,))]
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        np.asarray(loaded([x, coefficients])),
        np.asarray(model([x, coefficients])),
    )


def test_bases_start_different_and_as_a_plain_kernel_does():
    options = {"kernel_initializer": "glorot_uniform", "use_bias": False}
    layer = BasisConv2D(32, 3, bases=BASES, **options)
    layer.build([(None, 8, 8, 16), (None, BASES)])
    kernel = layer.get_weights()[0]
    assert kernel.shape == (BASES, 3, 3, 16, 32)
    limit = np.sqrt(6 / (9 * 16 + 9 * 32))
    for each, other in zip(kernel, np.roll(kernel, 1, axis=0), strict=True):
        assert 0.95 * limit < np.abs(each).max() <= limit
        assert abs(np.corrcoef(each.ravel(), other.ravel())[0, 1]) < 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bases": 0}, "`bases` must be a positive integer.*bases=0"),
        ({"filters": 0}, "`filters` must be a positive integer.*filters=0"),
        ({"strides": 0}, "`strides` must be one or two positive.*strides=0"),
        ({"strides": (2, 1)}, "`strides` must be the same.*strides=.2, 1"),
        ({"kernel_size": (3, 3, 3)}, r"`kernel_size` must be .*=\(3, 3, 3\)"),
        ({"padding": "causal"}, "`padding` must be one of .*'causal'"),
    ],
)
def test_bad_arguments(changes, message):
    arguments = {"filters": 4, "kernel_size": 3, "bases": 2}
    with pytest.raises(ValueError, match=message):
        BasisConv2D(**arguments | changes)


def test_one_coefficient_for_each_basis():
    layer = BasisDepthwiseConv2D(3, bases=4)
    with pytest.raises(ValueError, match=r"4 coefficients.*shape \(2, 3\)"):
        layer([np.ones((2, 8, 8, 4)), np.ones((2, 3))])
