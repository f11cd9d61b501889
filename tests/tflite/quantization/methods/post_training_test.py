"""Ranges of images alone: what no training form exists for comes out int8."""

import keras
import numpy as np
import pytest

import tflite
from tests.support import quantized_networks
from tflite.format import int8_only, model_file
from tflite.quantization import methods
from tflite.quantization.methods.method import Task

PIXELS = quantized_networks.PIXELS
IMAGES = PIXELS / np.float32(255)


class Doubled(keras.layers.Layer):
    """Is a layer that nobody has heard of."""

    def call(self, inputs):
        """Returns something that needs two operators."""
        return keras.ops.relu(inputs) + inputs


class Subclassed(keras.Model):
    """Is a model without a graph of layers."""

    def __init__(self):
        super().__init__()
        self.stem = keras.layers.Conv2D(6, 3, activation="relu")
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.exits = [keras.layers.Dense(4) for _ in range(2)]

    def call(self, inputs, training=None):
        """Returns two exits' logits."""
        x = self.stem(inputs)
        y = self.stem(
            keras.ops.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])[..., :4]
        )
        return [
            head(self.pool(z))
            for head, z in zip(self.exits, (x, y), strict=True)
        ]


def attention(x):
    x = keras.layers.MaxPooling2D(4)(x)
    tokens = keras.layers.Reshape((16, 8))(x)
    seen = keras.layers.MultiHeadAttention(2, 4)(tokens, tokens)
    tokens = keras.layers.Add()([tokens, seen])
    return keras.layers.Reshape((4, 4, 8))(tokens)


def own_layer_and_lambda(x):
    x = keras.layers.Lambda(lambda y: 0.5 * y)(Doubled()(x))
    return keras.layers.PReLU(shared_axes=[1, 2])(x)


def normalized_and_bent(x):
    x = keras.layers.LayerNormalization()(x)
    x = keras.layers.Activation("elu")(keras.layers.Conv2D(8, 1)(x))
    return keras.layers.Activation("hard_sigmoid")(x)


@pytest.mark.parametrize(
    "body", [attention, own_layer_and_lambda, normalized_and_bent]
)
def test_it_is_int8_and_exact_at_the_cut(body, tmp_path, run_whole, run_chain):
    model = quantized_networks.two_exits(body)
    found = quantized_networks.converted(model, "ptq", tmp_path)
    assert int8_only.exceptions(found.model) == []
    # Nothing was trained, so that these are the float model's.
    assert found.agreement(found.fake) > 0.99
    assert quantized_networks.chain_is_exact(found.model, run_whole, run_chain)
    assert input_scale(found.model) == (np.float32(1 / 255), -128)


def input_scale(model):
    graph = model_file.read(model).subgraphs[0]
    quantization = graph.tensors[graph.inputs[0]].quantization
    return quantization.scale[0], quantization.zeroPoint[0]


def test_a_model_without_a_graph(run_whole, run_chain):
    keras.utils.set_random_seed(0)
    model = Subclassed()
    model(IMAGES)
    converted = tflite.quantize(model, [IMAGES], method="ptq")
    found = quantized_networks.compared(model, converted)
    assert found.agreement(found.fake) > 0.99
    assert quantized_networks.chain_is_exact(converted, run_whole, run_chain)


def test_it_takes_no_steps():
    model = quantized_networks.two_exits(keras.layers.ReLU())
    labels = np.zeros(len(IMAGES), np.int64)
    with pytest.raises(ValueError, match="`steps`"):
        tflite.quantize(model, [(IMAGES, labels)], 1, method="ptq")


def test_a_method_that_is_not_there():
    with pytest.raises(ValueError, match="`method`"):
        methods.get("qat")


def test_the_front_door_takes_each_method():
    model = quantized_networks.two_exits(keras.layers.ReLU())
    said = quantized_networks.logits(model)
    for method in methods.NAMES:
        converted = tflite.quantize(model, [IMAGES], method=method)
        found = quantized_networks.compared(model, converted)
        assert found.agreement(said) > 0.99


def test_images_that_all_ranges_are_of_are_not_changed():
    images = IMAGES.copy()
    model = quantized_networks.two_exits(keras.layers.ReLU())
    task = Task(model=model, exits=2, images=[images])
    methods.get("ptq")(task)
    np.testing.assert_array_equal(images, IMAGES)
