"""Every known operator, by the runtime's own kernels, and what breaks it."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.support.tiny_graph import TinyGraph
from tflite.format import model_file, operator_rules
from tflite.runtime import interpreter

INT8, INT32, FLOAT16 = np.int8, np.int32, np.float16


def model(
    code, inputs, outputs, *, dtype=np.float32, scale=None, **options
) -> schema.ModelT:
    """A model of one operator.

    Args:
        code: Its name.
        inputs: Shapes of data, numpy arrays for constants, or -1.
        outputs: Shapes.
        dtype: Of the data.
        scale: Of int8 data; 0.1 without one.
        **options: Of the operator.
    """
    graph = TinyGraph()
    if dtype is INT8 and scale is None:
        scale = 0.1
    places, ends = [], []
    for each in inputs:
        if isinstance(each, np.ndarray):
            places.append(graph.constant(each))
            if each.dtype == INT8:
                graph.tensors[places[-1]].quantization = quantized(0.1)
        elif each == -1:
            places.append(-1)
        else:
            places.append(graph.tensor(each, dtype, scale=scale))
            ends.append(places[-1])
    results = [graph.tensor(each, dtype, scale=scale) for each in outputs]
    graph.operator(code, places, results, **options)
    return graph.model(ends, results)


def quantized(*scales, axis=0):
    return schema.QuantizationParametersT(
        scale=list(scales),
        zeroPoint=[0] * len(scales),
        quantizedDimension=axis,
    )


def ints(*values):
    return np.array(values, INT32)


def floats(*shape):
    return np.ones(shape, np.float32)


IMAGE = (1, 6, 5, 4)
UNIT = {"strideW": 1, "strideH": 1}
TWO = {"strideW": 2, "strideH": 2}
SOUND = {
    "convolution": (
        "CONV_2D",
        [IMAGE, floats(3, 3, 2, 4), floats(3)],
        [(1, 6, 5, 3)],
        UNIT,
    ),
    "strides": (
        "CONV_2D",
        [IMAGE, floats(3, 3, 3, 4), floats(3)],
        [(1, 3, 3, 3)],
        TWO,
    ),
    "dilation": (
        "CONV_2D",
        [IMAGE, floats(3, 2, 2, 4), floats(3)],
        [(1, 3, 2, 3)],
        UNIT | {"padding": 1, "dilationHFactor": 3, "dilationWFactor": 3},
    ),
    "groups": (
        "CONV_2D",
        [IMAGE, floats(4, 1, 1, 2), floats(4)],
        [(1, 6, 5, 4)],
        UNIT,
    ),
    "filter at run time": (
        "CONV_2D",
        [IMAGE, (3, 1, 1, 4), floats(3)],
        [(1, 6, 5, 3)],
        UNIT,
    ),
    "depthwise": (
        "DEPTHWISE_CONV_2D",
        [IMAGE, floats(1, 3, 3, 8), floats(8)],
        [(1, 3, 3, 8)],
        TWO | {"depthMultiplier": 2},
    ),
    "transposed convolution": (
        "TRANSPOSE_CONV",
        [ints(1, 12, 9, 3), floats(3, 2, 2, 4), IMAGE],
        [(1, 12, 9, 3)],
        TWO,
    ),
    "average pool": (
        "AVERAGE_POOL_2D",
        [IMAGE],
        [(1, 3, 2, 4)],
        TWO | {"filterWidth": 2, "filterHeight": 2, "padding": 1},
    ),
    "max pool": (
        "MAX_POOL_2D",
        [IMAGE],
        [(1, 3, 3, 4)],
        TWO | {"filterWidth": 3, "filterHeight": 3},
    ),
    "dense": ("FULLY_CONNECTED", [(2, 4), floats(3, 4), -1], [(2, 3)], {}),
    "dense, flat": ("FULLY_CONNECTED", [(2, 2, 2), floats(3, 4)], [(2, 3)], {}),
    "dense, axes kept": (
        "FULLY_CONNECTED",
        [(2, 3, 4), floats(5, 4), floats(5)],
        [(2, 3, 5)],
        {"keepNumDims": True},
    ),
    "matrices": (
        "BATCH_MATMUL",
        [(2, 1, 3, 4), (5, 6, 4)],
        [(2, 5, 3, 6)],
        {"adjY": True},
    ),
    "sum": ("ADD", [(2, 3, 4), (3, 1)], [(2, 3, 4)], {}),
    "maximum": ("MAXIMUM", [(2, 1), (3,)], [(2, 3)], {}),
    "slopes": ("PRELU", [IMAGE, floats(1, 1, 4)], [IMAGE], {}),
    "leaky": ("LEAKY_RELU", [IMAGE], [IMAGE], {"alpha": 0.1}),
    "softmax": ("SOFTMAX", [(2, 3)], [(2, 3)], {"beta": 1.0}),
    "mean": ("MEAN", [IMAGE, ints(1, -2)], [(1, 4)], {}),
    "mean, axes kept": (
        "MEAN",
        [IMAGE, ints(1, 2)],
        [(1, 1, 1, 4)],
        {"keepDims": True},
    ),
    "resize": (
        "RESIZE_BILINEAR",
        [IMAGE, ints(3, 9)],
        [(1, 3, 9, 4)],
        {"halfPixelCenters": True},
    ),
    "joined": ("CONCATENATION", [IMAGE, IMAGE], [(1, 6, 5, 8)], {"axis": -1}),
    "stacked": (
        "PACK",
        [(2, 3), (2, 3)],
        [(2, 2, 3)],
        {"axis": 1, "valuesCount": 2},
    ),
    "unstacked": ("UNPACK", [(2, 3)], [(2,)] * 3, {"axis": 1, "num": 3}),
    "split": ("SPLIT", [ints(1), (2, 6)], [(2, 3)] * 2, {"numSplits": 2}),
    "reshape": ("RESHAPE", [IMAGE, ints(1, -1, 4)], [(1, 30, 4)], {}),
    "transpose": ("TRANSPOSE", [IMAGE, ints(0, 2, 3, 1)], [(1, 5, 4, 6)], {}),
    "squeeze": ("SQUEEZE", [(1, 3, 1)], [(3, 1)], {"squeezeDims": [0]}),
    "expand": ("EXPAND_DIMS", [(2, 3), ints(-1)], [(2, 3, 1)], {}),
    "pad": (
        "PAD",
        [(2, 3), np.array([[1, 2], [0, 1]], INT32)],
        [(5, 4)],
        {},
    ),
    "mirror": (
        "MIRROR_PAD",
        [(2, 3), np.array([[1, 1], [2, 0]], INT32)],
        [(4, 5)],
        {},
    ),
    "slice": ("SLICE", [(4, 5), ints(1, 2), ints(2, -1)], [(2, 3)], {}),
    "strided slice": (
        "STRIDED_SLICE",
        [(4, 5, 6), ints(1, 0, 5), ints(9, 4, 0), ints(1, 2, -2)],
        [(3, 2, 3)],
        {},
    ),
    "index": (
        "STRIDED_SLICE",
        [(4, 5), ints(1, 0), ints(2, 5), ints(1, 1)],
        [(5,)],
        {"shrinkAxisMask": 1},
    ),
}


def runs(data: bytes) -> list[tuple[int, ...]]:
    """Runs a model; returns the shapes that come out."""
    loaded = interpreter.load(data)
    for each in loaded.get_input_details():
        loaded.set_tensor(each["index"], np.ones(each["shape"], each["dtype"]))
    loaded.invoke()
    return [
        loaded.get_tensor(each["index"]).shape
        for each in loaded.get_output_details()
    ]


@pytest.mark.parametrize("name", SOUND)
def test_the_shapes_are_those_of_the_kernels(name):
    code, inputs, outputs, options = SOUND[name]
    data = model_file.write(model(code, inputs, outputs, **options))
    model_file.verify(data)
    assert runs(data) == outputs


@pytest.mark.parametrize("name", SOUND)
def test_other_shapes_are_refused(name):
    code, inputs, outputs, options = SOUND[name]
    other = [(*outputs[0][:-1], outputs[0][-1] + 1), *outputs[1:]]
    data = model_file.write(model(code, inputs, other, **options))
    with pytest.raises(model_file.InvalidModel, match=f"operator 0, {code}: "):
        model_file.verify(data)
    model_file.read(data)  # Which runs nothing.


def broken(name, **changes):
    """A sound case of `SOUND` with other inputs or options."""
    code, inputs, outputs, options = SOUND[name]
    inputs = list(inputs)
    for place in [each for each in changes if each.startswith("input_")]:
        inputs[int(place[-1])] = changes.pop(place)
    return model(code, inputs, outputs, **(options | changes))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("convolution", {"strideW": 0}, "strides must lie in"),
        ("convolution", {"strideH": -1}, "strides must lie in"),
        ("convolution", {"dilationWFactor": 0}, "dilation and strides must"),
        ("convolution", {"padding": 2}, "padding be 0 or 1"),
        ("convolution", {"fusedActivationFunction": 4}, "activation must be"),
        ("convolution", {"input_2": floats(4)}, "bias must be of the shape"),
        ("convolution", {"input_1": floats(3, 3, 2, 3)}, "does not fit"),
        ("convolution", {"input_1": floats(3, 3, 8)}, "must have 4 axes"),
        ("convolution", {"input_1": ints(1)}, "one of the types"),
        ("convolution", {"input_1": -1}, "has index -1"),
        ("convolution", {"input_2": -1}, "the bias must be"),
        ("groups", {"input_1": floats(3, 1, 1, 2)}, "does not fit"),
        ("dilation", {"dilationHFactor": 9}, "does not fit"),
        ("depthwise", {"depthMultiplier": 0}, "does not fit"),
        ("depthwise", {"input_2": -1}, "the bias must be"),
        ("depthwise", {"input_1": floats(2, 3, 3, 8)}, "does not fit"),
        ("transposed convolution", {"input_0": (4,)}, "int32 constant"),
        ("transposed convolution", {"strideW": 0}, "strides must lie in"),
        (
            "transposed convolution",
            {"input_0": ints(1, 99, 9, 3)},
            "does not fit",
        ),
        ("max pool", {"filterWidth": 0}, "must lie in"),
        ("max pool", {"strideW": 5000}, "must lie in"),
        ("average pool", {"filterHeight": 7}, "does not fit"),
        ("dense", {"weightsFormat": 1}, "format 1"),
        ("dense", {"input_1": floats(3, 5)}, "not fit"),
        ("matrices", {"adjX": True}, "does not fit"),
        ("sum", {"input_1": (2, 1)}, "do not go together"),
        ("leaky", {"alpha": float("nan")}, "`alpha` must be finite"),
        ("softmax", {"beta": -1.0}, "`beta` must be"),
        ("mean", {"input_1": ints(1, 4)}, "must be an axis 4"),
        ("mean", {"input_1": (2,)}, "must be an int32 constant"),
        ("resize", {"input_1": ints(0, 9)}, "height and width"),
        ("resize", {"input_1": (2,)}, "must be an int32 constant"),
        ("joined", {"axis": 4}, "must be an axis 4"),
        ("joined", {"input_1": (1, 6, 4, 4)}, "cannot be joined"),
        ("joined", {"fusedActivationFunction": 1}, "no activation fused"),
        ("stacked", {"valuesCount": 3}, "must be 3 inputs"),
        ("unstacked", {"num": 2}, "must be 3 outputs"),
        ("split", {"numSplits": 0}, "cut into 2"),
        ("reshape", {"input_1": ints(-1, -1, 4)}, "cannot become"),
        ("transpose", {"input_1": ints(0, 2, 2, 1)}, "no order of the axes"),
        ("squeeze", {"squeezeDims": [1]}, "are not 1"),
        ("pad", {"input_1": ints(1, 2, 0, 1)}, "on both sides"),
        ("mirror", {"mode": 2}, "mode 2"),
        (
            "mirror",
            {"input_1": np.array([[1, 1], [3, 0]], INT32)},
            "cannot add",
        ),
        ("slice", {"input_1": ints(3, 2)}, "do not lie in"),
        ("strided slice", {"input_3": ints(1, 0, -2)}, "must not be 0"),
        ("strided slice", {"newAxisMask": 1}, "no axes can be added"),
        ("index", {"input_1": ints(4, 0)}, "there must be 4 in"),
    ],
)
def test_what_a_kernel_takes_for_granted(name, changes, message):
    data = model_file.write(broken(name, **changes))
    with pytest.raises(model_file.InvalidModel, match=message):
        model_file.verify(data)


def test_an_unknown_operator_can_be_read_only():
    whole = model("TANH", [(2,)], [(2,)])
    whole.operatorCodes[0].builtinCode = 123  # SELECT_V2
    whole.operatorCodes[0].deprecatedBuiltinCode = 123
    data = model_file.write(whole)
    model_file.read(data)
    with pytest.raises(model_file.InvalidModel, match="SELECT_V2, has no rule"):
        model_file.verify(data)


def test_a_shape_can_come_from_the_options_alone():
    whole = model("RESHAPE", [(2, 3)], [(6,)], newShape=[-1])
    data = model_file.write(whole)
    model_file.verify(data)
    assert runs(data) == [(6,)]
    operator = whole.subgraphs[0].operators[0]
    operator.builtinOptions = schema.SoftmaxOptionsT(beta=1.0)
    operator.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    with pytest.raises(model_file.InvalidModel, match=r"by \(\)"):
        model_file.verify(model_file.write(whole))


def test_custom_operators_are_named():
    whole = model("TANH", [(2,)], [(2,)])
    whole.operatorCodes[0].builtinCode = 32
    whole.operatorCodes[0].deprecatedBuiltinCode = 32
    whole.operatorCodes[0].customCode = "FlexErf"
    with pytest.raises(model_file.InvalidModel, match="'FlexErf', is not know"):
        model_file.verify(model_file.write(whole))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("sum", {"builtinOptionsType": 21}, "options must be of type 11"),
        ("sum", {"inputs": [0]}, "2 to 2 inputs. Received: 1"),
        ("sum", {"inputs": [0, 1, 1]}, "2 to 2 inputs. Received: 3"),
        ("matrices", {"builtinOptions": None}, "options must be of type 101"),
        ("unstacked", {"outputs": [1, 2, 3, 0]}, "overwrites"),
    ],
)
def test_operators_have_their_inputs_and_options(name, change, message):
    code, inputs, outputs, options = SOUND[name]
    whole = model(code, inputs, outputs, **options)
    for field, value in change.items():
        setattr(whole.subgraphs[0].operators[0], field, value)
    if "builtinOptions" in change:
        whole.subgraphs[0].operators[0].builtinOptionsType = 0
    with pytest.raises(model_file.InvalidModel, match=message):
        model_file.verify(model_file.write(whole))


def int8_convolution() -> schema.ModelT:
    filter = np.ones((3, 1, 1, 4), INT8)
    whole = model(
        "CONV_2D",
        [IMAGE, filter, ints(1, 2, 3)],
        [(1, 6, 5, 3)],
        dtype=INT8,
        **UNIT,
    )
    whole.subgraphs[0].tensors[1].quantization = quantized(0.1, 0.2, 0.3)
    return whole


def test_int8_runs_with_a_scale_per_channel():
    data = model_file.write(int8_convolution())
    model_file.verify(data)
    assert runs(data) == [(1, 6, 5, 3)]


@pytest.mark.parametrize(
    ("tensor", "quantization", "message"),
    [
        (0, None, "must have one scale and one zero point. Received: 0 and 0"),
        (0, quantized(*[0.1] * 4, axis=3), "one scale and one zero point"),
        (3, quantized(*[0.1] * 3, axis=3), "an output must have one scale"),
        # As many as there are input channels: the kernel would read them as
        # those of the output's.
        (1, quantized(*[0.1] * 4, axis=3), "along axis 0"),
        (
            1,
            schema.QuantizationParametersT(
                scale=[0.1] * 3, zeroPoint=[0, 1, 0]
            ),
            "zero points of 0",
        ),
    ],
)
def test_kernels_find_their_scales(tensor, quantization, message):
    whole = int8_convolution()
    whole.subgraphs[0].tensors[tensor].quantization = quantization
    with pytest.raises(model_file.InvalidModel, match=message):
        model_file.verify(model_file.write(whole))


def test_a_sum_has_a_scale_that_its_kernel_takes():
    whole = model("ADD", [(2,), (2,)], [(2,)], dtype=INT8)
    model_file.verify(model_file.write(whole))
    whole.subgraphs[0].tensors[2].quantization = quantized(1e-8)
    with pytest.raises(model_file.InvalidModel, match="scale must not be"):
        model_file.verify(model_file.write(whole))


def test_memory_and_time_are_bounded():
    whole = model("TANH", [(2**14, 2**13)], [(2**14, 2**13)])
    with pytest.raises(model_file.InvalidModel, match="at most 268435456 byt"):
        model_file.verify(model_file.write(whole))
    side = 2**12
    sides = [(side + 1, side), (side, side)]
    whole = model("BATCH_MATMUL", sides, sides[:1])
    with pytest.raises(model_file.InvalidModel, match="and 68719476736 steps"):
        model_file.verify(model_file.write(whole))
    # Each operator packs the same weights for itself.
    graph = TinyGraph()
    x = first = graph.tensor((1, 512))
    weights = graph.constant(floats(512, 512))
    for _ in range(300):
        x = graph.run("FULLY_CONNECTED", [x, weights])
    with pytest.raises(model_file.InvalidModel, match="at most 268435456 byt"):
        model_file.verify(graph.write([first], [x]))
    whole = model(
        "MAX_POOL_2D",
        [(1, 2**9, 2**9, 1)],
        [(1, 2**9, 2**9, 1)],
        filterWidth=2**6,
        filterHeight=2**6,
        **UNIT,
    )
    with pytest.raises(model_file.InvalidModel, match="must see at most"):
        model_file.verify(model_file.write(whole))


def test_the_codes_are_those_of_the_schema():
    for code, rule in operator_rules._RULES.items():
        assert getattr(schema.BuiltinOperator, rule.name) == code
