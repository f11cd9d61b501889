import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.support.tiny_graph import TinyGraph
from tflite.format import int8_only, model_file


def doubled(graph: TinyGraph) -> tuple[int, int]:
    """An int8 tensor, and its sum with itself."""
    x = graph.tensor([1, 4], np.int8, scale=0.1)
    return x, graph.run("ADD", [x, x], name="sum")


def test_a_quantized_network_passes(int8_model):
    assert int8_only.exceptions(int8_model) == []
    int8_only.require(int8_model)


def test_every_segment_passes(segments):
    for segment in segments:
        assert int8_only.exceptions(segment.model) == []
        int8_only.require(segment.model)


def test_every_operator_of_a_float_network_is_named(float_model):
    found = int8_only.exceptions(float_model)
    graph = model_file.read(float_model).subgraphs[0]
    assert len(found) == len(graph.operators)
    assert found[0].startswith("CONV_2D giving ")
    with pytest.raises(
        int8_only.NotInt8Error, match="int8 throughout"
    ) as caught:
        int8_only.require(float_model)
    assert f"{len(found)} operators" in str(caught.value)
    assert "CONV_2D" in str(caught.value)


def test_a_float_island_is_named():
    graph = TinyGraph()
    x, y = doubled(graph)
    island = graph.tensor([1, 4], np.float32, name="island")
    graph.operator("DEQUANTIZE", [y], [island])
    out = graph.run("TANH", [island], name="out")
    assert int8_only.exceptions(graph.write([x], [out])) == [
        "DEQUANTIZE giving 'island' is not int8",
        "TANH giving 'out' is not int8",
    ]


def test_float_weights_are_named():
    """Dynamic range quantization the other way round: a constant in float."""
    graph = TinyGraph()
    x, _ = doubled(graph)
    weights = graph.constant(np.ones((3, 4), np.float16))
    y = graph.tensor([1, 3], np.int8, name="y", scale=0.1)
    graph.operator("FULLY_CONNECTED", [x, weights, -1], [y])
    assert int8_only.exceptions(graph.write([x], [y])) == [
        "FULLY_CONNECTED giving 'y' is not int8"
    ]


def test_int32_biases_and_left_out_ones_are_allowed():
    graph = TinyGraph()
    x, _ = doubled(graph)
    weights = graph.constant(np.ones((3, 4), np.int8))
    bias = graph.constant(np.ones(3, np.int32))
    outputs = []
    for third in (bias, -1):
        y = graph.tensor([1, 3], np.int8, scale=0.1)
        graph.operator("FULLY_CONNECTED", [x, weights, third], [y])
        outputs.append(y)
    assert int8_only.exceptions(graph.write([x], outputs)) == []


@pytest.mark.parametrize("name", ["FlexErf", "MyOwnOperator"])
def test_custom_and_flex_operators_are_named(name):
    graph = TinyGraph()
    x, y = doubled(graph)
    contents = graph.model([x], [y])
    custom = schema.BuiltinOperator.CUSTOM
    code = contents.operatorCodes[0]
    code.customCode = name
    code.builtinCode = code.deprecatedBuiltinCode = custom
    operator = contents.subgraphs[0].operators[0]
    operator.builtinOptions = None
    operator.builtinOptionsType = schema.BuiltinOptions.NONE
    model = model_file.write(contents)
    expected = f"{name} giving 'sum' is a custom operator"
    assert int8_only.exceptions(model) == [expected]
    with pytest.raises(int8_only.NotInt8Error, match=expected):
        int8_only.require(model)


def test_half_a_model_is_refused(int8_model):
    with pytest.raises(model_file.InvalidModel):
        int8_only.exceptions(int8_model[: len(int8_model) // 2])
