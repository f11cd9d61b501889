import random
import struct
import subprocess
import sys

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tiny_graph import TinyGraph
from tflite.format import model_file


def damaged(data: bytes, seed: int) -> bytes:
    """Returns `data` with one to three words, or single bits, changed."""
    rng = random.Random(seed)
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 3])):
        at = rng.randrange(len(data) // 4) * 4
        changed[at : at + 4] = rng.choice(
            [
                b"\xff\xff\xff\xff",
                b"\xff\xff\xff\x7f",
                bytes(4),
                rng.randbytes(4),
                rng.randrange(99).to_bytes(4, "little"),
                bytes([data[at] ^ 1 << rng.randrange(8)])
                + data[at + 1 : at + 4],
            ]
        )
    return bytes(changed)


def small_model() -> schema.ModelT:
    graph = TinyGraph()
    x = graph.tensor([1, 4], name="x")
    one = graph.constant(np.ones([1, 4], np.float32))
    a = graph.run("ADD", [x, one])
    b = graph.run("TANH", [a])
    return graph.model([x], [a, b], {"x": x, "a": a, "b": b})


def test_write_of_read_computes_the_same(int8_model, run_whole):
    again = model_file.write(model_file.read(int8_model))
    model_file.verify(again)
    assert model_file.write(model_file.read(again)) == again
    image = np.random.default_rng(0).integers(-128, 128, (1, 16, 16, 3))
    image = image.astype(np.int8)
    before = run_whole(int8_model, {"image": image})
    after = run_whole(again, {"image": image})
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


def test_constants_are_aligned(int8_model):
    data = model_file.write(model_file.read(int8_model))
    start = np.frombuffer(data, np.uint8).ctypes.data
    places = [
        buffer.data.ctypes.data - start
        for buffer in model_file.read(data).buffers
        if buffer.data is not None
    ]
    assert len(places) > 5
    assert all(place % 16 == 0 for place in places)


def test_what_follows_the_flatbuffer_is_dropped(int8_model):
    model_file.verify(int8_model + b"PK\x03\x04 a zip")
    again = model_file.write(model_file.read(int8_model + b"PK\x03\x04 a zip"))
    assert again == model_file.write(model_file.read(int8_model))


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.1, 0.5, 0.9, 0.99])
def test_truncated_files_are_refused(int8_model, share):
    half = int8_model[: int(share * len(int8_model))]
    with pytest.raises(model_file.InvalidModel, match="`exit_1`"):
        model_file.verify(half, "exit_1")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=400), st.booleans())
def test_random_bytes_are_refused(data, identified):
    if identified:
        data = data[:4].ljust(4, b"\0") + b"TFL3" + data[4:]
    with pytest.raises(model_file.InvalidModel):
        model_file.verify(data)


@pytest.mark.parametrize("data", [None, bytearray(b"TFL3"), "model.tflite"])
def test_only_bytes_are_read(data):
    with pytest.raises(model_file.InvalidModel, match="must be bytes"):
        model_file.verify(data)


def test_damage_is_found_or_harmless_to_the_reader(int8_model):
    refused = 0
    for seed in range(200):
        data = damaged(int8_model, seed)
        try:
            model_file.write(model_file.read(data))
        except model_file.InvalidModel:
            refused += 1
    # The rest changed weights, names, or an operator's options.
    assert refused > 50


RUN = """
import sys
from tflite.runtime import interpreter
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        try:
            interpreter.load(file.read()).invoke()
        except (RuntimeError, ValueError):
            pass
"""


def test_what_passes_does_not_crash_the_runtime(tmp_path, int8_model):
    paths = []
    for seed in range(1000, 1300):
        data = damaged(int8_model, seed)
        try:
            model_file.verify(data)
        except model_file.InvalidModel:
            continue
        paths.append(tmp_path / str(seed))
        paths[-1].write_bytes(data)
    assert len(paths) > 50
    done = subprocess.run([sys.executable, "-c", RUN, *paths])
    assert done.returncode == 0


def test_aliased_tables_do_not_expand_without_end():
    builder = flatbuffers.Builder(1024)
    name = builder.CreateString("n" * 1000)
    schema.TensorStart(builder)
    schema.TensorAddName(builder, name)
    tensor = schema.TensorEnd(builder)
    schema.SubGraphStartTensorsVector(builder, 50_000)
    for _ in range(50_000):
        builder.PrependUOffsetTRelative(tensor)
    tensors = builder.EndVector()
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors)
    graph = schema.SubGraphEnd(builder)
    schema.ModelStartSubgraphsVector(builder, 1)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, graphs)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    with pytest.raises(model_file.InvalidModel, match="more than the file"):
        model_file.verify(bytes(builder.Output()))


def test_operator_names():
    codes = small_model().operatorCodes
    assert [model_file.operator_name(code) for code in codes] == ["ADD", "TANH"]
    late = schema.OperatorCodeT(deprecatedBuiltinCode=127, builtinCode=150)
    assert model_file.operator_name(late) == "GELU"
    unknown = schema.OperatorCodeT(builtinCode=9999)
    assert model_file.operator_name(unknown) == "operator code 9999"
    custom = schema.OperatorCodeT(builtinCode=32, customCode=b"FlexErf")
    assert model_file.operator_name(custom) == "FlexErf"


def edit(**changes):
    """Returns a change to tensor 2, the result of the first operator."""

    def change(model):
        for field, value in changes.items():
            setattr(model.subgraphs[0].tensors[2], field, value)

    return change


def operator(**changes):
    def change(model):
        for field, value in changes.items():
            setattr(model.subgraphs[0].operators[1], field, value)

    return change


def quantized(**changes):
    return edit(quantization=schema.QuantizationParametersT(**changes))


def graph(**changes):
    def change(model):
        for field, value in changes.items():
            setattr(model.subgraphs[0], field, value)

    return change


def shorten_constant(model):
    model.buffers[1].data = model.buffers[1].data[:-1]


def fill_buffer_0(model):
    model.buffers[0].data = np.zeros(4, np.uint8)


def second_subgraph(model):
    model.subgraphs *= 2


def no_subgraph(model):
    model.subgraphs = []


def data_elsewhere(model):
    model.buffers[1].offset = 10_000


def signature_out_of_range(model):
    model.signatureDefs[0].outputs[0].tensorIndex = 7


def metadata_out_of_range(model):
    model.metadata = [schema.MetadataT("x", 9)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (second_subgraph, "2 subgraphs"),
        (no_subgraph, "0 subgraphs"),
        (shorten_constant, "16 bytes for its shape"),
        (fill_buffer_0, "buffer 0 must be empty"),
        (data_elsewhere, "elsewhere"),
        (signature_out_of_range, "signature names other outputs"),
        (metadata_out_of_range, "metadata has index 9"),
        (graph(inputs=[9]), "input has index 9"),
        (graph(inputs=[0, 0]), "there twice"),
        (graph(inputs=[0, 1]), "is a constant"),
        (graph(outputs=[-1]), "output has index -1"),
        (graph(operators=[]), "computed by no operator"),
        (operator(inputs=[99]), "operator 1 has index 99"),
        (operator(inputs=[-2]), "operator 1 has index -2"),
        (operator(inputs=[3]), "no one wrote"),
        (operator(outputs=[-1]), "operator 1 has index -1"),
        (operator(outputs=[2]), "overwrites"),
        (operator(outputs=[3, 3]), "overwrites"),
        (operator(intermediates=[50]), "operator 1 has index 50"),
        (operator(opcodeIndex=2), "operator 1 has index 2"),
        (operator(largeCustomOptionsSize=5), "elsewhere"),
        (edit(buffer=9), "index 9"),
        (edit(type=schema.TensorType.STRING), "no fixed size"),
        (edit(type=schema.TensorType.RESOURCE), "no fixed size"),
        (edit(isVariable=True), "variable"),
        (edit(sparsity=schema.SparsityParametersT()), "sparse weights"),
        (edit(shape=[1, -4]), "extents >= 0"),
        (edit(shape=[2**20, 2**20]), "at most"),
        (edit(shape=[2**31 - 1] * 64), "at most"),
        (edit(shapeSignature=[4]), "signature"),
        (edit(shapeSignature=[-1, 5]), "signature"),
        (quantized(scale=[0.0], zeroPoint=[0]), "no positive number"),
        (quantized(scale=[float("nan")], zeroPoint=[0]), "no positive"),
        (quantized(scale=[1.0], zeroPoint=[2**40]), "zero point"),
        (quantized(scale=[1.0], zeroPoint=[0] * 3), "zero points"),
        (quantized(scale=[1.0] * 3, quantizedDimension=1), "3 scales along"),
        (quantized(scale=[1.0] * 4, quantizedDimension=2), "index 2"),
    ],
)
def test_what_does_not_hold_is_named(change, message):
    model = small_model()
    model_file.verify(model_file.write(model))
    change(model)
    data = model_file.write(model)
    with pytest.raises(model_file.InvalidModel, match=message):
        model_file.verify(data)
    with pytest.raises(model_file.InvalidModel, match=message):
        model_file.read(data)


@pytest.mark.parametrize("slot", [1, 2, 4, 6, 7])
def test_tables_that_are_all_the_same_bytes_take_no_memory(slot):
    """A million of them would take a gigabyte, out of four megabytes."""
    count = 1_000_000
    layout = struct.pack("<HH8H", 20, 8, *(4 * (i == slot) for i in range(8)))
    table = 8 + len(layout)
    vector = table + 8
    empty = vector + 4 + 4 * count
    offsets = empty - np.arange(vector + 4, empty, 4)
    data = b"".join(
        (
            struct.pack("<I4s", table, b"TFL3"),
            layout,
            struct.pack("<iIi", table - 8, 4, count),
            offsets.astype("<u4").tobytes(),
            struct.pack("<iHH", -4, 4, 4),
        )
    )
    with pytest.raises(model_file.InvalidModel, match="of memory"):
        model_file.verify(data)
