"""Networks with combined kernels from Keras 3 to int8 segments."""

import keras
import numpy as np
import pytest

from keras_dynamic.layers import BasisCoefficients, BasisConv2D
from keras_dynamic.models.basisnet import basisnet
from keras_dynamic.models.blocks import convolutions, inverted_residual
from tests.support import small_int8
from tflite.cutting import split
from tflite.diagnosis import delegation
from tflite.format import int8_only, model_file
from tflite.runtime import whole_model

pytestmark = pytest.mark.slow

SHAPE = (8, 8, 1)
CLASSES = 4
PIXELS = np.random.default_rng(0).integers(0, 256, (32, *SHAPE), np.uint8)


def two_stages() -> keras.Model:
    """Kernels of 1x1 and 3x3, strides of 1 and 2."""
    return basisnet(
        input_shape=SHAPE,
        classes=CLASSES,
        preview={"family": "resnet", "blocks": 1, "widths": (4,)},
        preview_size=4,
        specialist={"family": "resnet", "blocks": 1, "widths": (4, 8)},
        bases=3,
        activation="sigmoid",
    )


def one_stage() -> keras.Model:
    """A softmax with a temperature, one vector, biases and the hard swish."""
    image = keras.Input(SHAPE, name="image")
    x = convolutions.conv_bn_relu(image, 8, 3, strides=2, name="stem")
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    scores = keras.layers.Dense(3, name="basis_scores")(pooled)
    [alpha] = BasisCoefficients(3, temperature=2.0)(scores)
    x = BasisConv2D(16, 1, bases=3, bias_initializer="normal")([x, alpha])
    x = inverted_residual.activate(x, "hard_swish", name="wide")
    x = BasisConv2D(8, 3, bases=3, padding="valid")([x, alpha])
    x = keras.layers.ReLU()(x)
    logits = convolutions.linear_classifier(x, CLASSES, 0)
    return keras.Model(image, logits)


def randomized(network: keras.Model) -> keras.Model:
    """Activations that differ between layers, kernels between images."""
    rng = np.random.default_rng(0)
    for weight in network.weights:
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        if "beta" in weight.path:
            weight.assign(rng.uniform(-0.5, 0.5, weight.shape))
        if "basis_scores/kernel" in weight.path:
            weight.assign(rng.normal(0.0, 3.0, weight.shape))
    return network


def operators(model: bytes) -> list[str]:
    contents = model_file.read(model)
    return [
        model_file.operator_name(contents.operatorCodes[each.opcodeIndex])
        for each in contents.subgraphs[0].operators
    ]


@pytest.fixture(scope="module", params=[two_stages, one_stage])
def both(request, tmp_path_factory):
    """A network, and its int8 model."""
    keras.utils.set_random_seed(0)
    network = randomized(request.param())
    return network, small_int8.converted(
        network, PIXELS, tmp_path_factory.mktemp("saved")
    )


def test_int8_computes_what_float_does(both):
    network, model = both
    assert int8_only.exceptions(model) == []
    whole = whole_model.Unsplit(model)
    ours = np.stack([whole.dequantize(whole.logits(x)) for x in PIXELS], 1)
    theirs = network(PIXELS / np.float32(255), training=False)
    for before, after in zip(keras.tree.flatten(theirs), ours, strict=True):
        agreement = np.corrcoef(np.ravel(before), np.ravel(after))[0, 1]
        assert agreement > 0.99


def test_the_kernels_have_the_zero_point_0(both):
    _, model = both
    graph = model_file.read(model).subgraphs[0]
    kernels = [
        graph.tensors[operator.inputs[1]]
        for operator, name in zip(
            graph.operators, operators(model), strict=True
        )
        if name == "BATCH_MATMUL"
    ]
    assert len(kernels) == (5 if len(graph.outputs) > 1 else 2)
    for kernel in kernels:
        assert list(kernel.quantization.zeroPoint) == [0]


def test_each_exit_is_one_partition_and_the_chain_is_exact(both, run_chain):
    network, model = both
    exits = len(network.outputs)
    segments = split.split(model, [f"exit_{k}" for k in range(exits)])
    assert [each.wiring.exit for each in segments] == [*range(exits)]
    # The softmax is not in XNNPACK's int8.
    softmax = [each for each in operators(model) if each == "SOFTMAX"]
    for segment in segments:
        found = delegation.delegation(segment.model)
        assert list(found.left) == softmax
        assert found.complete != bool(softmax)
    whole = whole_model.Unsplit(model)
    for image in PIXELS:
        device = (image.astype(np.int16) - 128).astype(np.int8)
        chain = run_chain(segments, {"image": device[None]})
        for k, logits in enumerate(whole.logits(image)):
            np.testing.assert_array_equal(chain[f"exit_{k}"][0], logits)


def test_stage_two_takes_int8_features_of_stage_one(both):
    network, model = both
    if len(network.outputs) == 1:
        pytest.skip("one stage")
    first, second = split.split(model, ["exit_0", "exit_1"])
    [crossing] = set(second.wiring.inputs) - {"image"}
    assert first.wiring.outputs == ("exit_0", crossing)
    assert "LOGISTIC" in operators(second.model)
    assert "BATCH_MATMUL" not in operators(first.model)
