"""Every layer that may be in a model comes out int8, and equal at the cuts."""

import keras
import numpy as np
import pytest

from keras_dynamic import layers as ours
from keras_dynamic import normal_form
from keras_dynamic.models.blocks import choice
from keras_dynamic.normal_form.vocabulary import VOCABULARY
from tests.support import quantized_networks
from tflite.cutting import branches
from tflite.format import int8_only, model_file
from tflite.quantization.native import lowering
from tflite.quantization.unsupported_layer import UnsupportedLayerError

layers = keras.layers
MODELS = {}


def case(body):
    """Notes a function from a map to what the exits read."""
    MODELS[body.__name__] = body
    return body


@case
def residual_blocks(x):
    for _ in range(2):
        y = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        x = layers.Activation("relu")(layers.Add()([x, y]))
    return x


@case
def separable_with_groups(x):
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return layers.Conv2D(8, 3, groups=2, dilation_rate=2)(x)


@case
def squeeze_and_excite(x):
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.ReLU()(layers.Conv2D(4, 1)(y))
    y = layers.Activation("sigmoid")(layers.Conv2D(8, 1)(y))
    return layers.Multiply()([x, y])


@case
def swishes(x):
    x = layers.Multiply()([x, layers.Activation("sigmoid")(x)])
    x = layers.Conv2D(8, 1)(x)
    return layers.Multiply()([x, layers.Activation("hard_sigmoid")(x)])


@case
def hard_sigmoid(x):
    return layers.Activation("hard_sigmoid")(x)


@case
def tanh_and_difference(x):
    return layers.Subtract()([x, layers.Activation("tanh")(x)])


@case
def gelu(x):
    return layers.Activation("gelu")(x)


@case
def elu(x):
    return layers.Activation("elu")(x)


@case
def softmax(x):
    return layers.Activation("softmax")(x)


@case
def slopes_and_ends(x):
    x = layers.Conv2D(8, 1)(layers.LeakyReLU(negative_slope=0.1)(x))
    return layers.ReLU(0.5)(x)


@case
def layer_normalization(x):
    return layers.LayerNormalization()(x)


@case
def transposed_convolution(x):
    return layers.ReLU()(layers.Conv2DTranspose(8, 3, 2, padding="same")(x))


@case
def joined(x):
    pooled = layers.MaxPooling2D(2, 1, padding="same")(x)
    return layers.Concatenate()([x, layers.Conv2D(4, 1)(x), pooled])


@case
def pooled(x):
    x = layers.AveragePooling2D(2, padding="same")(layers.MaxPooling2D(2)(x))
    return layers.ReLU()(x)


@case
def clipped_alone(x):
    """Holds ReLUs that no operator takes in, one of them joined."""
    both = layers.Concatenate()([layers.ReLU()(x), layers.ReLU(6.0)(x)])
    x = layers.ReLU()(layers.Conv2D(8, 1)(both))
    return layers.ReLU(0.4)(layers.AveragePooling2D(2)(layers.Conv2D(8, 1)(x)))


@case
def moved(x):
    x = layers.Cropping2D(1)(layers.ZeroPadding2D(2)(x))
    return layers.Reshape((9, 36, 8))(layers.Permute((2, 1, 3))(x))


@case
def resized(x):
    return ours.BilinearResize(20, 20)(layers.UpSampling2D()(x))


@case
def flattened_and_dense(x):
    x = layers.Flatten()(layers.MaxPooling2D(8)(x))
    return layers.Activation("sigmoid")(layers.Dense(8)(x))


@case
def shifted_and_scaled(x):
    x = ours.Multiple(0.5, learned=True)(ours.Bias()(x))
    return layers.ReLU()(ours.GradientScale(0.5)(x))


@case
def gated(x):
    mean = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = ours.Gate(name="gate")(ours.Score(1, name="gate_score")(mean))
    branch = layers.Conv2D(8, 3, padding="same")(x)
    return layers.Add()([x, layers.Multiply()([branch, gate])])


@case
def chosen(x):
    routed = layers.Dense(2)(layers.GlobalAveragePooling2D()(x))
    branches = [
        layers.Flatten()(layers.MaxPooling2D(4)(layers.Conv2D(8, size)(x)))
        for size in (1, 3)
    ]
    branches = [layers.Dense(8)(each) for each in branches]
    return choice.choice(
        routed,
        branches,
        exit=7,
        temperature=1.0,
        noise=None,
        annealing_steps=0,
    )


@pytest.mark.parametrize("name", MODELS)
def test_it_is_int8_and_what_was_trained(name, tmp_path, run_whole, run_chain):
    model = quantized_networks.two_exits(MODELS[name])
    found = quantized_networks.converted(model, "keras", tmp_path)
    assert int8_only.exceptions(found.model) == []
    assert found.steps_off() <= 3
    assert found.agreement(found.fake) > 0.999
    assert found.agreement(quantized_networks.logits(model)) > 0.99
    assert quantized_networks.chain_is_exact(found.model, run_whole, run_chain)


def test_a_gate_can_be_cut_at(tmp_path):
    model = quantized_networks.two_exits(gated)
    found = quantized_networks.converted(model, "keras", tmp_path)
    contents = model_file.read(found.model)
    [branch] = branches.branches(contents)
    gate = contents.subgraphs[0].tensors[branch.gate].quantization
    assert (gate.scale[0], gate.zeroPoint[0]) == (np.float32(1 / 255), -128)


def test_no_layer_is_left_out():
    seen = {
        type(layer)
        for body in MODELS.values()
        for layer in normal_form.of(quantized_networks.two_exits(body)).layers
    }
    assert set(VOCABULARY) - seen == set(lowering.REFUSED)


def test_kernels_that_are_combined_for_each_image_are_refused():
    image = keras.Input((8, 8, 4), name="image")
    pooled = layers.GlobalAveragePooling2D()(image)
    [alpha] = ours.BasisCoefficients(2)(layers.Dense(2)(pooled))
    x = ours.BasisConv2D(4, 3, bases=2)([image, alpha])
    model = keras.Model(image, x)
    with pytest.raises(UnsupportedLayerError, match="`model`"):
        lowering.lowered(model)
