"""A layer without an int8 form stays float where its name is given."""

import keras
import numpy as np
import pytest

from keras_dynamic.normal_form import NoNormalFormError
from tests.support import quantized_networks
from tflite.diagnosis import equivalence
from tflite.format import int8_only
from tflite.quantization.int8_model import quantize

IMAGES = quantized_networks.PIXELS / np.float32(255)


def cosine(x):
    """TFLite computes a cosine of floats alone."""
    return keras.ops.cos(x) * x


def network() -> keras.Model:
    return quantized_networks.two_exits(
        lambda x: keras.layers.Lambda(cosine, name="odd")(
            keras.layers.ReLU(name="clip")(x)
        )
    )


@pytest.mark.parametrize("method", ["keras", "ptq"])
def test_all_else_is_int8_and_the_chain_exact(method, run_whole, run_chain):
    model = quantize(network(), [IMAGES], method=method, keep_float=["odd"])
    outside = " ".join(int8_only.exceptions(model))
    assert "COS" in outside
    assert "CONV_2D" not in outside
    assert "FULLY_CONNECTED" not in outside
    assert int8_only.exceptions(model, ["odd"]) == []
    assert equivalence.float_operators(model)
    assert equivalence.float_operators(model, ["odd"]) == []
    with pytest.raises(int8_only.NotInt8Error):
        int8_only.require(model, ["od", "clip"])
    assert quantized_networks.chain_is_exact(model, run_whole, run_chain)
    found = quantized_networks.compared(network(), model)
    assert found.agreement(found.fake) > 0.99


def test_it_is_fine_tuned_beside_it(run_whole, run_chain):
    labels = np.arange(len(IMAGES)) % 5
    model = quantize(
        network(), [(IMAGES, labels)], 2, method="keras", keep_float=["odd"]
    )
    assert quantized_networks.chain_is_exact(model, run_whole, run_chain)


def test_unnamed_it_is_refused_by_name():
    with pytest.raises(NoNormalFormError, match="'odd'"):
        quantize(network(), [IMAGES], method="keras")
    with pytest.raises(int8_only.NotInt8Error, match="odd"):
        quantize(network(), [IMAGES], method="ptq")


@pytest.mark.parametrize("names", [["clip"], ["odd", "nobody"]])
def test_names_of_other_layers_are_refused(names):
    with pytest.raises(ValueError, match=names[-1]):
        quantize(network(), [IMAGES], method="keras", keep_float=names)


def test_tfmot_leaves_nothing_float():
    with pytest.raises(ValueError, match="`keep_float`"):
        quantize(network(), [IMAGES], method="tfmot", keep_float=["odd"])


def test_what_is_not_named_is_refused_with_its_name_and_the_key():
    with pytest.raises(NoNormalFormError, match=r"(?s)'odd'.*keep_float"):
        quantize(network(), [IMAGES], method="keras")
