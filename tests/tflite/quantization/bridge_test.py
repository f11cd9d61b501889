import keras
import numpy as np
import pytest

from keras_dynamic.layers import (
    Bias,
    Gate,
    GradientScale,
    Multiple,
)
from keras_dynamic.models import ranet
from tflite.quantization import bridge, layers


def _random_weights(model, seed=0):
    """Gives every weight a value that a forgotten copy would not have."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = rng.normal(0.0, 0.3, weight.shape)
        if "variance" in weight.path or "gamma" in weight.path:
            values = 0.5 + np.abs(values)
        weight.assign(values)


def _assert_same(model, rtol=1e-4):
    _random_weights(model)
    translated = bridge.to_tf_keras(model)
    shape = (5, *model.inputs[0].shape[1:])
    images = np.random.default_rng(1).random(shape, np.float32)
    ours = model(images, training=False)
    theirs = translated(images, training=False)
    if not isinstance(ours, list | tuple):
        ours, theirs = [ours], [theirs]
    for ours_k, theirs_k in zip(ours, theirs, strict=True):
        ours_k = np.asarray(ours_k)
        np.testing.assert_allclose(
            theirs_k.numpy(),
            ours_k,
            rtol=rtol,
            atol=rtol * np.abs(ours_k).max(),
        )
    return translated


def test_a_ranet_keeps_its_outputs_and_names():
    model = ranet(
        input_shape=(16, 16, 1),
        classes=4,
        channels=4,
        growth_rate=4,
        scales=(1, 2),
        growth_factors=(2, 1),
        bottleneck_factors=(2, 1),
        step=2,
        head_width=8,
    )
    translated = _assert_same(model)
    names = {layer.name for layer in model.layers}
    assert {layer.name for layer in translated.layers} == names
    assert len(translated.outputs) == 4


def _every_supported_layer():
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", strides=2, name="conv")(inputs)
    x = layers.BatchNormalization(scale=False, epsilon=1e-2)(x)
    x = layers.ReLU(max_value=6.0, negative_slope=0.1)(x)
    y = layers.ZeroPadding2D(((1, 0), (0, 1)))(x)
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(y)
    y = layers.Conv2D(8, 3, groups=2, dilation_rate=2, padding="same")(y)
    y = layers.Activation("relu")(y)
    y = layers.MaxPooling2D(2, strides=1)(y)
    x = layers.Add()([x, y])
    z = layers.UpSampling2D(2, interpolation="bilinear")(x)
    z = layers.AveragePooling2D(2)(z)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(z)
    gate = layers.Activation("hard_sigmoid")(gate)
    x = layers.Multiply()([x, gate])
    scale = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, Gate()(layers.Conv2D(1, 1)(scale))])
    x = layers.Concatenate()([z, x])
    x = layers.Dropout(0.5)(x)
    left = layers.GlobalAveragePooling2D()(x)
    right = layers.Dense(5)(layers.Flatten()(x))
    right = layers.Reshape((5, 1))(right)
    right = layers.Flatten()(right)
    right = Bias()(Multiple(0.5)(Multiple(0.5, learned=True)(right)))
    return keras.Model(inputs, [layers.Dense(3)(left), right])


def test_every_supported_layer_computes_the_same():
    model = _every_supported_layer()
    used = {type(layer).__name__ for layer in model.layers} - {"InputLayer"}
    # BilinearResize is in the RANet above; the others are tested by themselves.
    others = {"BilinearResize", "GradientScale", "Preference", "Score"}
    others |= {"BasisCoefficients", "BasisConv2D"}
    assert used | others == {each.__name__ for each in layers.registry()}
    _assert_same(model)


def test_a_gate_keeps_neither_noise_nor_counter():
    inputs = keras.Input((4,))
    gate = Gate(noise=(0.5, 0.1), annealing_steps=10, name="gate")
    _assert_same(keras.Model(inputs, gate(inputs)))


def test_a_gradient_scale_is_left_out():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, name="dense")(inputs)
    x = GradientScale(0.5, name="scale")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="exit_0")(x))
    translated = _assert_same(model)
    assert [layer.name for layer in translated.layers[1:]] == [
        "dense",
        "exit_0",
    ]


def test_a_frozen_layer_stays_frozen():
    inputs = keras.Input((4,))
    x = keras.layers.BatchNormalization(name="frozen")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="free")(x))
    model.get_layer("frozen").trainable = False
    translated = _assert_same(model)
    assert not translated.get_layer("frozen").trainable
    assert translated.get_layer("free").trainable


def test_a_layer_called_twice_is_one_layer():
    inputs = keras.Input((4,))
    dense = keras.layers.Dense(4, activation="relu", name="twice")
    model = keras.Model(inputs, dense(dense(inputs)))
    translated = _assert_same(model)
    assert len(translated.weights) == 2


def test_a_mixed_precision_model_becomes_float32():
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(2, dtype="mixed_bfloat16")(inputs)
    translated = bridge.to_tf_keras(keras.Model(inputs, outputs))
    assert translated.outputs[0].dtype == "float32"


def test_an_unsupported_layer_is_named_with_those_that_are():
    inputs = keras.Input((4, 4, 3))
    outputs = keras.layers.LayerNormalization(name="odd_one")(inputs)
    with pytest.raises(bridge.UnsupportedLayerError) as caught:
        bridge.to_tf_keras(keras.Model(inputs, outputs))
    assert "'odd_one' of class LayerNormalization" in str(caught.value)
    assert "BasisConv2D, BatchNormalization" in str(caught.value)
    assert "BilinearResize" in str(caught.value)


@pytest.mark.parametrize("kind", [keras.layers.Dense, keras.layers.Conv2D])
def test_a_hard_sigmoid_inside_another_layer_is_refused(kind):
    # The legacy one of this name has another slope.
    inputs = keras.Input((4, 4, 3))
    arguments = (2, 1) if kind is keras.layers.Conv2D else (2,)
    outputs = kind(*arguments, activation="hard_sigmoid", name="odd")(inputs)
    with pytest.raises(bridge.UnsupportedLayerError, match="'odd' of class"):
        bridge.to_tf_keras(keras.Model(inputs, outputs))


def test_a_subclass_of_a_supported_layer_is_not_that_layer():
    class Dense(keras.layers.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    inputs = keras.Input((4,))
    with pytest.raises(bridge.UnsupportedLayerError, match="Dense"):
        bridge.to_tf_keras(keras.Model(inputs, Dense(2)(inputs)))


def test_channels_first_is_refused():
    inputs = keras.Input((4, 4, 3))
    pool = keras.layers.AveragePooling2D(2, data_format="channels_first")
    with pytest.raises(bridge.UnsupportedLayerError, match="channels_last"):
        bridge.to_tf_keras(keras.Model(inputs, pool(inputs)))
