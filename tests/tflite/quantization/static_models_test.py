"""Static networks from Keras 3 to int8: each is one XNNPACK partition."""

import keras
import numpy as np
import pytest

from keras_dynamic import models
from keras_dynamic.models.blocks import convolutions, inverted_residual
from tests.support import small_int8
from tflite.cutting import split
from tflite.diagnosis import delegation
from tflite.format import int8_only, model_file
from tflite.runtime import whole_model

pytestmark = pytest.mark.slow

_SHAPE = (16, 16, 3)


def _swish_and_squeeze():
    """A block of MobileNetV3, with all that its quantization needs."""
    image = keras.Input(_SHAPE, name="image")
    x = inverted_residual.inverted_residual(
        image,
        8,
        expanded=16,
        kernel_size=3,
        strides=2,
        activation="hard_swish",
        squeeze=True,
        name="block",
    )
    return keras.Model(image, convolutions.linear_classifier(x, 4, 0))


def _network(family, **arguments):
    return models.build(family, input_shape=_SHAPE, classes=4, **arguments)


_SMALL = {"width": 0.1, "downsampling": 8}
_CASES = {
    "block": (_swish_and_squeeze, {"ADD": 3, "MUL": 6}),
    "resnet": (
        lambda: _network("resnet", blocks=1, widths=(8, 16)),
        {"ADD": 2},
    ),
    "vgg": (
        lambda: _network(
            "vgg",
            stem_width=8,
            widths=(8, 16),
            depths=(2, 3),
            residual=(1,),
            exits=(1,),
        ),
        # All convolutions with their normalization and ReLU in them.
        {"CONV_2D": 6, "MAX_POOL_2D": 2, "ADD": 1, "MUL": 0},
    ),
    # A sum for each block with a shortcut.
    "mobilenet_v2": (lambda: _network("mobilenet_v2", **_SMALL), {"ADD": 12}),
    # 19 hard swishes (a sum, two products), 9 squeezes (likewise).
    "mobilenet_v3": (
        lambda: _network("mobilenet_v3", size="small", **_SMALL),
        {"MUL": 56},
    ),
}


@pytest.mark.parametrize("name", _CASES)
def test_int8_computes_what_float_does_in_one_partition(name, tmp_path):
    make, expected = _CASES[name]
    keras.utils.set_random_seed(0)
    network = make()
    rng = np.random.default_rng(0)
    for weight in network.weights:
        # Statistics that make the activations differ from layer to layer.
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        if "beta" in weight.path:
            weight.assign(rng.uniform(-0.5, 0.5, weight.shape))
    images = rng.integers(0, 256, (32, *_SHAPE), np.uint8)
    converted = small_int8.converted(network, images, tmp_path)

    assert int8_only.exceptions(converted) == []
    facts = delegation.delegation(converted)
    assert facts.complete
    [segment] = split.split(converted)
    assert segment.wiring.outputs == ("exit_0",)
    assert segment.operators == facts.operators
    found = _operators(converted)
    assert {operator: found.count(operator) for operator in expected} == (
        expected
    )
    whole = whole_model.Unsplit(converted)
    ours = [whole.dequantize(whole.logits(image))[0] for image in images]
    theirs = np.asarray(network(images / np.float32(255), training=False))
    assert np.corrcoef(np.ravel(ours), np.ravel(theirs))[0, 1] > 0.99


def _operators(model: bytes) -> list[str]:
    contents = model_file.read(model)
    return [
        model_file.operator_name(contents.operatorCodes[each.opcodeIndex])
        for each in contents.subgraphs[0].operators
    ]
