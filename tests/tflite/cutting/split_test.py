import copy
import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tiny_graph import TinyGraph
from tflite.cutting import split
from tflite.diagnosis import delegation
from tflite.format import model_file
from tflite.runtime import interpreter

RNG = np.random.default_rng(0)


def pixels(count: int) -> np.ndarray:
    return RNG.integers(-128, 128, (count, 1, 16, 16, 3)).astype(np.int8)


def chain_of_adds(depths) -> bytes:
    """x + x + x ... in float, with an output after each of `depths` sums."""
    graph = TinyGraph()
    at = [graph.tensor([1, 4])]
    for _ in range(max(depths)):
        at.append(graph.run("ADD", [at[-1], at[0]]))
    return graph.write([at[0]], [at[depth] for depth in depths])


def test_chain_equals_whole_int8(int8_model, segments, run_whole, run_chain):
    for image in pixels(20):
        whole = run_whole(int8_model, {"image": image})
        chain = run_chain(segments, {"image": image})
        for segment in segments:
            np.testing.assert_array_equal(
                chain[segment.output], whole[segment.output]
            )


def test_chain_equals_whole_float(float_model, run_whole, run_chain):
    segments = split.split(float_model)
    for image in RNG.random((10, 1, 16, 16, 3), np.float32):
        whole = run_whole(float_model, {"image": image})
        chain = run_chain(segments, {"image": image})
        for segment in segments:
            np.testing.assert_array_equal(
                chain[segment.output], whole[segment.output]
            )


def test_each_operator_runs_once_and_all_stay_delegated(int8_model, segments):
    whole = model_file.read(int8_model).subgraphs[0]
    assert [s.wiring.exit for s in segments] == [0, 1, 2]
    assert sum(s.operators for s in segments) == len(whole.operators)
    for segment in segments:
        assert delegation.delegation(segment.model).complete


def test_third_exit_skips_the_second(segments):
    first, second, third = segments
    assert first.wiring.inputs == ("image",)
    assert [s.output for s in segments] == ["output_0", "output_1", "output_2"]
    assert second.wiring.outputs == ("output_1",)
    assert third.wiring.outputs == ("output_2",)
    assert set(third.wiring.inputs) == set(first.wiring.outputs[1:])


def test_both_sides_of_a_cut_agree_with_the_whole(int8_model, segments):
    whole = {
        details["name"]: details
        for details in interpreter.load(int8_model).get_tensor_details()
    }
    for segment in segments:
        loaded = interpreter.load(segment.model)
        runner = loaded.get_signature_runner()
        sides = runner.get_input_details() | runner.get_output_details()
        assert set(sides) == {*segment.wiring.inputs, *segment.wiring.outputs}
        for name, details in sides.items():
            assert details["name"] == name
            original = whole.get(name)
            if original is not None:
                assert details["quantization"] == original["quantization"]
                assert details["dtype"] == original["dtype"]
                np.testing.assert_array_equal(
                    details["shape"], original["shape"]
                )


def test_segments_hold_only_what_they_need(int8_model, segments):
    whole = model_file.read(int8_model)
    for segment in segments:
        model = model_file.read(segment.model)
        (graph,) = model.subgraphs
        used = {*graph.inputs, *graph.outputs}
        for operator in graph.operators:
            used |= {*operator.inputs, *operator.outputs} - {-1}
        assert used == set(range(len(graph.tensors)))
        assert {o.opcodeIndex for o in graph.operators} == set(
            range(len(model.operatorCodes))
        )
        assert model.buffers[0].data is None
        assert {t.buffer for t in graph.tensors} | {
            entry.buffer for entry in model.metadata
        } == set(range(len(model.buffers)))
        assert [e.name for e in model.metadata] == [b"min_runtime_version"]
        assert len(segment.model) < len(int8_model)
    assert len(whole.metadata) == 2


def test_exits_are_ordered_by_depth_not_by_the_converter():
    segments = split.split(chain_of_adds([3, 1, 5]))
    assert [s.operators for s in segments] == [1, 2, 2]
    assert [s.output for s in segments] == ["t1", "t3", "t5"]
    # An exit's logits may be what the next segment starts from.
    assert segments[1].wiring.inputs == ("t0", "t1")
    assert segments[0].wiring.outputs == ("t1",)


def test_an_order_that_is_given_holds(run_chain):
    graph = TinyGraph()
    x = graph.tensor([1, 4], name="x")
    shared = graph.run("TANH", [x], name="shared")
    ensemble = graph.run("ADD", [graph.run("ADD", [shared, x]), x], name="e")
    last = graph.run("MUL", [shared, shared], name="last")
    model = graph.write([x], [ensemble, last])
    assert [s.output for s in split.split(model)] == ["last", "e"]
    segments = split.split(model, ["e", "last"])
    assert [s.output for s in segments] == ["e", "last"]
    assert [s.operators for s in segments] == [3, 1]
    value = {"x": RNG.random((1, 4), np.float32)}
    chain, whole = run_chain(segments, value), np.tanh(value["x"])
    np.testing.assert_allclose(chain["e"], whole + 2 * value["x"], rtol=1e-5)
    np.testing.assert_allclose(chain["last"], whole**2, rtol=1e-5)


@pytest.mark.parametrize("order", [["t1"], ["t1", "t3", "t4"], []])
def test_an_order_of_other_outputs_is_refused(order):
    with pytest.raises(split.CannotSplit, match=r"`order`"):
        split.split(chain_of_adds([3, 1]), order)


def test_an_order_that_leaves_an_exit_nothing_to_do_is_refused():
    with pytest.raises(split.CannotSplit, match=r"`order`.* 't1'"):
        split.split(chain_of_adds([3, 1]), ["t3", "t1"])


def test_names_come_from_the_signature_and_are_unique(run_chain):
    graph = TinyGraph()
    x = graph.tensor([1, 4], name="serving_default_x:0")
    same = [graph.run("TANH", [x], name="same")]
    same.append(graph.run("TANH", same, name="same"))
    a = graph.run("ADD", same, name="StatefulPartitionedCall:1")
    b = graph.run("MUL", [same[1], a], name="StatefulPartitionedCall:0")
    signature = {"x": x, "same": a, "deep": b}
    first, second = split.split(graph.write([x], [b, a], signature))
    assert first.wiring.inputs == ("x",)
    # The signature's own name is never the one that changes.
    assert first.wiring.outputs == ("same", "same_2")
    assert (second.wiring.inputs, second.wiring.outputs) == (
        ("same_2", "same"),
        ("deep",),
    )
    value = RNG.random((1, 4), np.float32)
    twice = np.tanh(np.tanh(value))
    chain = run_chain((first, second), {"x": value})
    expected = twice * (np.tanh(value) + twice)
    np.testing.assert_allclose(chain["deep"], expected, rtol=1e-5)


def test_shared_buffers_stay_shared():
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    one = graph.constant(np.ones([1, 4], np.float32))
    two = graph.constant(np.ones([1, 4], np.float32), graph.tensors[one].buffer)
    a = graph.run("ADD", [graph.run("MUL", [x, one]), two])
    b = graph.run("ADD", [a, two])
    first, second = split.split(graph.write([x], [a, b]))
    counts = [len(model_file.read(s.model).buffers) for s in (first, second)]
    assert counts == [2, 2]


def test_computed_constants_do_not_cross_a_cut(run_whole, run_chain):
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    half = graph.constant(np.array([[1, 2, 3, 4]], np.float16))
    weights = graph.run("DEQUANTIZE", [half], like=x)
    a = graph.run("MUL", [x, weights])
    b = graph.run("ADD", [a, weights])
    signature = {"x": x, "a": a, "b": b}
    model = graph.write([x], [a, b], signature)
    segments = split.split(model)
    assert [s.operators for s in segments] == [2, 2]
    assert segments[1].wiring.inputs == ("a",)
    value = {"x": RNG.random((1, 4), np.float32)}
    whole, chain = run_whole(model, value), run_chain(segments, value)
    np.testing.assert_array_equal(chain["b"], whole["b"])


@st.composite
def multi_output_models(draw) -> bytes:
    """Random float graphs with two outputs or more."""
    graph = TinyGraph()
    inputs = [graph.tensor([1, 4]) for _ in range(draw(st.integers(1, 2)))]
    values = np.random.default_rng(draw(st.integers(0, 9)))
    weights = graph.constant(values.normal(size=(4, 4)).astype(np.float32))
    offset = graph.constant(values.normal(size=(1, 4)).astype(np.float32))
    constants = [offset, graph.run("ADD", [offset, offset])]
    varying, results = list(inputs), []
    for _ in range(draw(st.integers(2, 12))):
        code = draw(st.sampled_from(["ADD", "MUL", "TANH", "FULLY_CONNECTED"]))
        operands = [draw(st.sampled_from(varying))]
        if code == "FULLY_CONNECTED":
            operands += [weights, -1]
        elif code != "TANH":
            operands.append(draw(st.sampled_from(varying + constants)))
        results.append(graph.run(code, operands))
        varying.append(results[-1])
    outputs = draw(
        st.lists(st.sampled_from(results), min_size=2, max_size=4, unique=True)
    )
    names = {f"in_{i}": i for i in inputs} | {f"out_{i}": i for i in outputs}
    return graph.write(inputs, outputs, names)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(multi_output_models())
def test_any_graph_chains_bit_for_bit(run_whole, run_chain, model):
    segments = split.split(model)
    graph = model_file.read(model).subgraphs[0]
    inputs = {
        f"in_{i}": RNG.normal(size=(1, 4)).astype(np.float32)
        for i in graph.inputs
    }
    whole, chain = run_whole(model, inputs), run_chain(segments, inputs)
    assert {s.output for s in segments} == set(whole)
    for name, expected in whole.items():
        np.testing.assert_array_equal(chain[name], expected)
    # All but the one that adds constants run in one segment at most.
    assert sum(s.operators - 1 for s in segments) <= len(graph.operators) - 1


def two_results_of_one_operator() -> bytes:
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    axis = graph.constant(np.array(1, np.int32))
    halves = [graph.tensor([1, 2]), graph.tensor([1, 2])]
    graph.operator("SPLIT", [axis, x], halves, numSplits=2)
    return graph.write([x], halves)


def a_second_result() -> bytes:
    """Builds halves of the input, both outputs, and something after them."""
    graph = TinyGraph()
    x = graph.tensor([1, 4], name="x")
    axis = graph.constant(np.array(1, np.int32))
    halves = [graph.tensor([1, 2], name=name) for name in ("left", "right")]
    graph.operator("SPLIT", [axis, x], halves, numSplits=2)
    last = graph.run("ADD", halves, name="last")
    names = {"x": x, "left": halves[0], "right": halves[1], "last": last}
    return graph.write([x], [last, *halves], names)


def two_signatures(other: str = "first") -> bytes:
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    first = graph.run("TANH", [x])
    second = graph.run("TANH", [first])
    made = graph.model(
        [x], [first, second], {"x": x, "first": first, "second": second}
    )
    again = copy.deepcopy(made.signatureDefs[0])
    again.signatureKey = b"again"
    for entry in again.outputs:
        if entry.tensorIndex == first:
            entry.name = other
    made.signatureDefs.append(again)
    return model_file.write(made)


def an_input_as_output() -> bytes:
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    return graph.write([x], [x, graph.run("TANH", [x])])


def a_constant_as_output() -> bytes:
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    one = graph.constant(np.ones([1, 4], np.float32))
    return graph.write([x], [graph.run("TANH", [x]), one])


def no_operators() -> bytes:
    graph = TinyGraph()
    inputs = [graph.tensor([1, 4]), graph.tensor([1, 4])]
    return graph.write(inputs, inputs)


def one_tensor_under_two_names() -> bytes:
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    a = graph.run("TANH", [x])
    b = graph.run("TANH", [a])
    signature = {"x": x, "a": a, "b": b, "also_b": b}
    return graph.write([x], [a, b], signature)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (chain_of_adds([2, 2]), "all of them different"),
        (one_tensor_under_two_names(), "one tensor as two"),
        (an_input_as_output(), "an input or a constant"),
        (a_constant_as_output(), "an input or a constant"),
        (no_operators(), "an input or a constant"),
        (two_signatures(other="another"), "one signature"),
    ],
)
def test_models_without_a_cut_are_refused(model, message):
    with pytest.raises(split.CannotSplit, match=message):
        split.split(model)


def test_a_second_result_goes_with_the_first(run_whole, run_chain):
    model = a_second_result()
    segments = split.split(model)
    assert [s.output for s in segments] == ["left", "last"]
    assert [s.also for s in segments] == [("right",), ()]
    inputs = {"x": RNG.random((1, 4), np.float32)}
    whole, chain = run_whole(model, inputs), run_chain(segments, inputs)
    assert set(whole) == {"left", "right", "last"}
    for name, expected in whole.items():
        np.testing.assert_array_equal(chain[name], expected)
    [alone] = split.split(two_results_of_one_operator())
    assert len(alone.also) == 1


def test_signatures_that_say_the_same_are_one():
    outputs = [s.output for s in split.split(two_signatures())]
    assert outputs == ["first", "second"]


def test_an_output_named_like_an_input_keeps_its_name_beside_it(tmp_path):
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    first = graph.run("TANH", [x])
    second = graph.run("TANH", [first])
    made = graph.model([x], [first, second], {"y": second})
    entry = type(made.signatureDefs[0].outputs[0])
    made.signatureDefs[0].inputs = [entry("x", x)]
    made.signatureDefs[0].outputs.append(entry("x", first))
    source = tmp_path / "model.tflite"
    source.write_bytes(model_file.write(made))
    segments = split.write(str(source), str(tmp_path / "out"))
    assert [s.renamed for s in segments] == [{"x_1": "x"}, {}]
    rows = json.loads((tmp_path / "out" / "segments.json").read_text())
    assert rows["segments"][0]["renamed"] == {"x_1": "x"}
    assert "renamed" not in rows["segments"][1]


@pytest.mark.parametrize("field", ["sparsity", "details"])
def test_what_is_not_carried_is_named(field):
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    made = graph.model([x], [graph.run("TANH", [x])])
    tensor = made.subgraphs[0].tensors[0]
    if field == "sparsity":
        tensor.sparsity = schema.SparsityParametersT()
        said = "sparse weights"
    else:
        tensor.quantization = schema.QuantizationParametersT(
            detailsType=schema.QuantizationDetails.CustomQuantization,
            details=schema.CustomQuantizationT(),
        )
        said = "custom quantization"
    with pytest.raises(model_file.Unsupported, match=said) as error:
        split.split(model_file.write(made))
    assert "usable" not in str(error.value)


def test_a_model_with_one_output_is_one_segment(run_whole):
    [segment] = split.split(chain_of_adds([3]))
    assert (segment.wiring.exit, segment.operators) == (0, 3)
    values = np.float32([[1.0, 2.0, 3.0, 4.0]])
    outputs = run_whole(segment.model, {segment.wiring.inputs[0]: values})
    assert list(outputs) == [segment.output]
    np.testing.assert_array_equal(outputs[segment.output], 4 * values)


def test_a_damaged_model_is_refused(int8_model):
    with pytest.raises(model_file.InvalidModel):
        split.split(int8_model[: len(int8_model) // 2])


def test_write(tmp_path, int8_model, segments):
    source = tmp_path / "model.tflite"
    source.write_bytes(int8_model)
    target = tmp_path / "parts" / "out"
    split.write(str(source), str(target))
    facts = json.loads((target / "segments.json").read_text())["segments"]
    for segment, row in zip(segments, facts, strict=True):
        data = (target / row["file"]).read_bytes()
        assert data == segment.model
        assert row["bytes"] == len(data)
        assert row["operators"] == segment.operators
        assert row["inputs"] == list(segment.wiring.inputs)
        assert row["outputs"] == list(segment.wiring.outputs)
    with pytest.raises(ValueError, match="new or empty"):
        split.write(str(source), str(target))


def test_write_wants_something_to_cut(tmp_path):
    source = tmp_path / "model.tflite"
    source.write_bytes(chain_of_adds([3]))
    with pytest.raises(split.CannotSplit, match="two outputs or more"):
        split.write(str(source), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_write_leaves_nothing_after_a_failure(
    tmp_path, monkeypatch, int8_model
):
    source = tmp_path / "model.tflite"
    source.write_bytes(int8_model)
    monkeypatch.setattr(split.json, "dump", None)
    with pytest.raises(TypeError):
        split.write(str(source), str(tmp_path / "out"))
    assert [each.name for each in tmp_path.iterdir()] == ["model.tflite"]
