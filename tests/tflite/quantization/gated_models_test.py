"""Networks with gates from Keras 3 to int8: what their cut relies on."""

import keras
import numpy as np
import pytest

from keras_dynamic.graph import gating
from keras_dynamic.layers import Gate
from keras_dynamic.models.blocks import convolutions
from keras_dynamic.models.lcnet import lcnet
from tests.support import small_int8
from tflite.cutting import branches
from tflite.diagnosis import delegation
from tflite.format import int8_only, model_file
from tflite.quantization import bridge, fake_quantization
from tflite.runtime import interpreter, whole_model

pytestmark = pytest.mark.slow

SHAPE = (8, 8, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (32, *SHAPE), np.uint8)
RESNET = {"family": "resnet", "blocks": 1, "widths": (8, 16)}
GROUPS = {"channels": "groups", "groups": 2}
CASES = {
    "resnet": {"backbone": RESNET, **GROUPS, "exits": (0,), "head_width": 8},
    "mobilenet_v2": {
        "backbone": {"family": "mobilenet_v2", "width": 0.1, "downsampling": 4},
    },
}


@pytest.mark.parametrize("case", CASES)
def test_gates_are_int8_numbers_with_an_exact_0(case, tmp_path):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(1)
    network = lcnet(input_shape=SHAPE, classes=4, gate_bias=0.5, **CASES[case])
    for layer in network.layers:
        # Scores that differ from gate to gate and from image to image.
        if layer.name.endswith("_score"):
            kernel, bias, *rest = layer.get_weights()
            drawn = rng.normal(0, 1, kernel.shape)
            layer.set_weights([drawn, bias, *rest])
    model = small_int8.converted(network, PIXELS, tmp_path)

    assert int8_only.exceptions(model) == []
    assert delegation.delegation(model).complete
    contents = model_file.read(model)
    tensors = contents.subgraphs[0].tensors
    found = branches.branches(contents)
    gates = gating.gating(network)
    assert len(found) == len(gates.names)
    for branch in found:
        gate = tensors[branch.gate]
        assert np.prod(gate.shape) == 1
        assert gate.quantization.scale[0] == np.float32(1 / 255)
        assert gate.quantization.zeroPoint[0] == -128

    whole = whole_model.Unsplit(model)
    ours = np.stack([whole.dequantize(whole.logits(x)) for x in PIXELS], 1)
    theirs = network(PIXELS / np.float32(255), training=False)
    theirs = theirs if isinstance(theirs, list) else [theirs]
    for ours_k, theirs_k in zip(ours, theirs, strict=True):
        agreement = np.corrcoef(np.ravel(ours_k), np.ravel(theirs_k))[0, 1]
        assert agreement > 0.98


def test_gates_that_are_closed_for_all_images_stay_in_xnnpack(tmp_path):
    network = lcnet(
        input_shape=SHAPE,
        classes=4,
        backbone=RESNET,
        **GROUPS,
    )
    for layer in network.layers:
        if layer.name.endswith("_score"):
            kernel, bias, *rest = layer.get_weights()
            score = bias - 2 * ("stage1" in layer.name)
            layer.set_weights([0 * kernel, score, *rest])
    model = small_int8.converted(network, PIXELS, tmp_path)
    assert int8_only.exceptions(model) == []
    assert delegation.delegation(model).complete


def test_a_product_with_a_closed_gate_is_its_zero_point(tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE, name="image")
    branch = convolutions.conv_bn(image, 8, 3, name="branch")
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True)(image)
    score = keras.layers.Conv2D(1, 1, name="score")
    gate = Gate(name="gate")(score(pooled))
    # Closed for images that are dark, wide open for those that are bright.
    score.set_weights([np.full((1, 1, 3, 1), 2.0), np.array([-3.0])])
    product = keras.layers.Multiply(name="exit_0")([branch, gate])
    dark = (np.arange(32) % 2 == 0)[:, None, None, None]
    pixels = np.where(dark, PIXELS // 4, 255 - PIXELS // 4).astype(np.uint8)
    model = small_int8.converted(keras.Model(image, product), pixels, tmp_path)

    runner = interpreter.load(model).get_signature_runner()
    _, zero_point = runner.get_output_details()["exit_0"]["quantization"]
    assert zero_point != -128  # The branch has both signs.
    for each, closed in zip(pixels, dark[:, 0, 0, 0], strict=True):
        device = (each.astype(np.int16) - 128).astype(np.int8)
        found = runner(image=device[None])["exit_0"]
        assert (found == zero_point).all() == closed


@pytest.mark.parametrize("kind", ["conv", "dense", "sum"])
def test_a_gate_is_the_range_of_what_comes_before(kind, tmp_path):
    image = x = keras.Input(SHAPE, name="image")
    if kind == "dense":
        x = keras.layers.GlobalAveragePooling2D()(x)
        x = keras.layers.Dense(4, name="dense")(x)
    else:
        x = keras.layers.Conv2D(4, 3, name="conv")(x)
    if kind == "sum":
        x = keras.layers.Add()([x, x])
    network = keras.Model(image, Gate(name="exit_0")(x))
    # About half of the scores are below 0, a few above 1.
    [*_, layer] = (each for each in network.layers if each.weights)
    kernel, bias = layer.get_weights()
    kernel = np.random.default_rng(1).normal(0, 0.3, kernel.shape)
    bias = 0.3 - 0.5 * kernel.sum(axis=tuple(range(kernel.ndim - 1)))
    layer.set_weights([kernel, bias])
    model = small_int8.converted(network, PIXELS, tmp_path)
    assert int8_only.exceptions(model) == []
    assert delegation.delegation(model).complete
    contents = model_file.read(model)
    names = {
        model_file.operator_name(contents.operatorCodes[each.opcodeIndex])
        for each in contents.subgraphs[0].operators
    }
    work = {"conv": {"CONV_2D"}, "sum": {"CONV_2D", "ADD"}}
    assert names == work.get(kind, {"MEAN", "FULLY_CONNECTED"})
    runner = interpreter.load(model).get_signature_runner()
    scale, zero_point = runner.get_output_details()["exit_0"]["quantization"]
    assert (scale, zero_point) == (np.float32(1 / 255), -128)
    theirs = np.asarray(network(PIXELS / np.float32(255)))
    device = (PIXELS.astype(np.int16) - 128).astype(np.int8)
    ours = np.stack([runner(image=x[None])["exit_0"][0] for x in device])
    ours = scale * (ours.astype(np.float32) - zero_point)
    assert ((theirs > 0) & (theirs < 1)).any()
    np.testing.assert_allclose(ours, theirs, atol=0.05)


def test_a_gate_behind_another_layer_is_refused():
    image = keras.Input(SHAPE, name="image")
    x = keras.layers.BatchNormalization(name="norm")(image)
    network = keras.Model(image, Gate(name="gate")(x))
    plain = bridge.to_tf_keras(network)
    with pytest.raises(
        bridge.UnsupportedLayerError, match=r"'norm' .* before 'gate'"
    ):
        fake_quantization.insert(plain)
