"""What the campaign mutates: two small networks of many operators.

Each has two or three exits and, between them, nearly every operator that
`tflite.format.operator_rules` knows: one in int8 with a gate, one in float32
with weights in float16 and in int8.
"""

import os
import pathlib
import tempfile

import cases
import numpy as np

from keras_dynamic.exits.decision.policy import Policy
from tests.support.tiny_graph import TinyGraph
from tflite import bundle
from tflite.bundle import recorded_logits
from tflite.cutting import split

SIDE, CLASSES = 8, 4
LABELS = ("zero", "one", "two", "three")
_SAME, _VALID = 0, 1


def load(names=()) -> tuple[cases.Subject, ...]:
    """Returns bundles by directory and models by file; ours without names."""
    if not names:
        whole = _int8()
        return (
            _bundle("int8", whole, "int8", 1 / 255, -128),
            _bundle("float", _float(), "float32", 1 / 255, 0),
            cases.model("int8 model", whole),
        )
    return tuple(
        cases.bundle(name, name)
        if os.path.isdir(name)
        else cases.model(name, pathlib.Path(name).read_bytes())
        for name in names
    )


def for_verbs() -> tuple[cases.Subject, ...]:
    """Returns int8 bundles that `policy` can refit: a gated and a plain one."""
    return (
        _bundle("gated", _int8(), "int8", 1 / 255, -128, fit=True),
        _bundle("plain", plain(), "int8", 1 / 255, -128, fit=True),
    )


def plain() -> bytes:
    """Returns an int8 model of two exits without a gate."""
    net = _Network(np.int8, 1 / 255, -128)
    half = (1, 4, 4, 4)
    x = net.convolution(net.image, half, 3, strideW=2, strideH=2)
    first = net.head(x, "exit_0")
    return net.write([first, net.head(net.convolution(x, half, 3), "exit_1")])


def _recorded(segments) -> bytes:
    """Made up: what the exits said of some images."""
    rng = np.random.default_rng(0)
    exits = sum(each.wiring.exit is not None for each in segments)
    gated = any(each.wiring.gate is not None for each in segments)
    labels = rng.integers(0, CLASSES, 40).astype(np.int32)
    logits = rng.integers(-128, 128, (exits, 40, CLASSES)).astype(np.int8)
    madds = np.tile(1000 * np.arange(1, exits + 1), (40, 1))
    return recorded_logits.encode(
        recorded_logits.Recorded(labels, logits, madds if gated else None)
    )


def _bundle(
    name: str,
    whole: bytes,
    dtype: str,
    scale: float,
    zero_point: int,
    *,
    fit: bool = False,
) -> cases.Subject:
    segments = split.split(whole)
    exits = sum(each.wiring.exit is not None for each in segments)
    with tempfile.TemporaryDirectory() as directory:
        bundle.write(
            directory,
            name=name,
            segments=[
                bundle.segment_facts(
                    place, each.model, each.wiring, madds=1000, params=100
                )
                for place, each in enumerate(segments)
            ],
            models=[each.model for each in segments],
            labels=LABELS,
            input=bundle.InputFacts((SIDE, SIDE, 3), dtype, scale, zero_point),
            policy=Policy(
                temperatures=(1.0,) * exits,
                thresholds=(0.5,) * (exits - 1) + (0.0,),
                enabled=(True,) * exits,
            ),
            provenance={"config": "fuzz"},
            calibration=_recorded(segments) if fit else None,
        )
        return cases.bundle(name, directory)


class _Network:
    """A `TinyGraph` with weights drawn at random."""

    def __init__(self, dtype: type, scale: float | None, zero_point: int):
        self.graph = TinyGraph()
        self.dtype = dtype
        self.image = self.graph.tensor(
            (1, SIDE, SIDE, 3),
            dtype,
            name="image",
            scale=scale,
            zero_point=zero_point,
        )
        self._rng = np.random.default_rng(0)

    def result(self, shape, scale: float = 0.05, zero_point: int = 0) -> int:
        int8 = self.dtype is np.int8
        return self.graph.tensor(
            shape,
            self.dtype,
            scale=scale if int8 else None,
            zero_point=zero_point,
        )

    def run(self, code: str, inputs, shape, *quantization, **options) -> int:
        index = self.result(shape, *quantization)
        self.graph.operator(code, inputs, [index], **options)
        return index

    def integers(self, *numbers) -> int:
        return self.graph.constant(np.array(numbers, np.int32))

    def weights(self, shape, channels: int | None = None) -> int:
        """Adds a filter, with a scale per channel along an axis in int8."""
        if self.dtype is not np.int8:
            values = self._rng.normal(0, 0.3, shape).astype(np.float32)
            return self.graph.constant(values)
        values = self._rng.integers(-127, 128, shape).astype(np.int8)
        index = self.graph.constant(values)
        count = 1 if channels is None else shape[channels]
        self._quantize(index, [0.004] * count, channels or 0)
        return index

    def bias(self, count: int, scale: float, channels: bool = True) -> int:
        if self.dtype is not np.int8:
            values = self._rng.normal(0, 0.3, count).astype(np.float32)
            return self.graph.constant(values)
        values = self._rng.integers(-500, 500, count).astype(np.int32)
        index = self.graph.constant(values)
        self._quantize(index, [scale * 0.004] * (count if channels else 1), 0)
        return index

    def _quantize(self, index: int, scales: list[float], axis: int) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.graph.tensors[index].quantization = schema.QuantizationParametersT(
            scale=scales, zeroPoint=[0] * len(scales), quantizedDimension=axis
        )

    def convolution(
        self, x: int, shape, size: int, scale: float = 0.05, **options
    ) -> int:
        before = self.graph.tensors[x]
        filter = self.weights((shape[-1], size, size, before.shape[-1]), 0)
        at = before.quantization.scale[0] if before.quantization else 1.0
        return self.run(
            "CONV_2D",
            [x, filter, self.bias(shape[-1], at)],
            shape,
            scale,
            **({"strideW": 1, "strideH": 1} | options),
        )

    def head(self, x: int, name: str) -> int:
        """Adds a mean over places and a dense layer."""
        shape = self.graph.tensors[x].shape
        mean = self.run("MEAN", [x, self.integers(1, 2)], (1, shape[-1]))
        weights = self.weights((CLASSES, shape[-1]))
        bias = self.bias(CLASSES, 0.05, channels=False)
        logits = self.run(
            "FULLY_CONNECTED", [mean, weights, bias], (1, CLASSES)
        )
        self.graph.tensors[logits].name = name
        return logits

    def write(self, exits: list[int]) -> bytes:
        names = {"image": self.image}
        names |= {f"exit_{k}": each for k, each in enumerate(exits)}
        return self.graph.write([self.image], exits, names)


def _int8() -> bytes:
    net = _Network(np.int8, 1 / 255, -128)
    half, relu = (1, 4, 4, 4), 1
    x = net.convolution(
        net.image, half, 3, strideW=2, strideH=2, fusedActivationFunction=relu
    )
    deep = net.run(
        "DEPTHWISE_CONV_2D",
        [x, net.weights((1, 3, 3, 4), 3), net.bias(4, 0.05)],
        half,
        strideW=1,
        strideH=1,
        depthMultiplier=1,
    )
    total = net.run("ADD", [x, deep], half)
    first = net.head(total, "exit_0")

    # A branch that a gate can switch off.
    mean = net.run(
        "MEAN", [total, net.integers(1, 2)], (1, 1, 1, 4), keepDims=True
    )
    gate = net.run(
        "CONV_2D",
        [mean, net.weights((1, 1, 1, 4), 0), net.bias(1, 0.05)],
        (1, 1, 1, 1),
        0.01,
        -128,
        strideW=1,
        strideH=1,
        fusedActivationFunction=relu,
    )
    branch = net.convolution(total, half, 3)
    x = net.run("ADD", [total, net.run("MUL", [branch, gate], half)], half)

    padding = net.graph.constant(
        np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
    )
    x = net.run("PAD", [x, padding], (1, 6, 6, 4))
    window = {"strideW": 1, "strideH": 1, "filterWidth": 3, "filterHeight": 3}
    x = net.run("MAX_POOL_2D", [x], half, padding=_VALID, **window)
    wide = net.run("CONCATENATION", [x, total], (1, 4, 4, 8), axis=3)
    wide = net.run("QUANTIZE", [wide], (1, 4, 4, 8), 0.04, 3)
    wide = net.run("HARD_SWISH", [wide], (1, 4, 4, 8))
    small = net.run(
        "AVERAGE_POOL_2D",
        [wide],
        (1, 2, 2, 8),
        **{each: 2 for each in window},
    )
    second = net.head(small, "exit_1")

    up = net.run(
        "RESIZE_BILINEAR",
        [small, net.integers(4, 4)],
        (1, 4, 4, 8),
        halfPixelCenters=True,
    )
    up = net.run("LOGISTIC", [up], (1, 4, 4, 8), 1 / 256, -128)
    up = net.run(
        "TRANSPOSE_CONV",
        [net.integers(1, 8, 8, 2), net.weights((2, 2, 2, 8), 0), up],
        (1, 8, 8, 2),
        strideW=2,
        strideH=2,
    )
    part = net.run(
        "STRIDED_SLICE",
        [
            up,
            *(
                net.integers(*n)
                for n in ((0, 0, 0, 0), (1, 8, 8, 2), (1, 2, 2, 1))
            ),
        ],
        half[:3] + (2,),
    )
    part = net.run(
        "TRANSPOSE", [part, net.integers(0, 2, 1, 3)], half[:3] + (2,)
    )
    flat = net.run("RESHAPE", [part, net.integers(1, 1, 2, 16)], (1, 1, 2, 16))
    flat = net.run("SOFTMAX", [flat], (1, 1, 2, 16), 1 / 256, -128, beta=1.0)
    return net.write([first, second, net.head(flat, "exit_2")])


def _float() -> bytes:
    net = _Network(np.float32, None, 0)
    graph = net.graph
    half = (1, 4, 4, 4)
    stored = graph.constant(
        np.random.default_rng(1).normal(0, 0.3, (4, 3, 3, 3)).astype(np.float16)
    )
    filter = net.run("DEQUANTIZE", [stored], (4, 3, 3, 3))
    x = net.run(
        "CONV_2D",
        [net.image, filter, net.bias(4, 1.0)],
        half,
        strideW=2,
        strideH=2,
    )
    slopes = graph.constant(np.full((1, 1, 4), 0.1, np.float32))
    x = net.run("PRELU", [x, slopes], half)
    first = net.head(x, "exit_0")

    padding = graph.constant(
        np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
    )
    x = net.run("MIRROR_PAD", [x, padding], (1, 6, 6, 4))
    x = net.run(
        "SLICE", [x, net.integers(0, 1, 1, 0), net.integers(1, 4, 4, 4)], half
    )
    x = net.run(
        "RESIZE_NEAREST_NEIGHBOR", [x, net.integers(2, 2)], (1, 2, 2, 4)
    )
    tokens = net.run("RESHAPE", [x, net.integers(1, 4, 4)], (1, 4, 4))
    spread = net.run("SUB", [tokens, tokens], (1, 4, 4))
    square = net.run("MUL", [tokens, tokens], (1, 4, 4))
    norm = net.run("SUM", [square, net.integers(2)], (1, 4, 1), keepDims=True)
    norm = net.run("SQRT", [norm], (1, 4, 1))
    one = graph.constant(np.ones((1,), np.float32))
    norm = net.run("MAXIMUM", [norm, one], (1, 4, 1))
    tokens = net.run("DIV", [tokens, norm], (1, 4, 4))
    scores = net.run("BATCH_MATMUL", [tokens, tokens], (1, 4, 4), adjY=True)
    scores = net.run("SOFTMAX", [scores], (1, 4, 4), beta=0.5)
    mixed = net.run("BATCH_MATMUL", [scores, tokens], (1, 4, 4))
    mixed = net.run("GELU", [mixed], (1, 4, 4))
    mixed = net.run("ADD", [mixed, spread], (1, 4, 4))
    halves = [net.result((1, 4, 2)) for _ in range(2)]
    graph.operator("SPLIT", [net.integers(2), mixed], halves, numSplits=2)
    left = net.run("LEAKY_RELU", [halves[0]], (1, 4, 2), alpha=0.2)
    right = net.run("EXP", [halves[1]], (1, 4, 2))
    both = net.run("PACK", [left, right], (1, 4, 2, 2), valuesCount=2, axis=3)
    # Weights in int8 beside data in float32.
    values = np.random.default_rng(2).integers(-127, 128, (4, 16))
    weights = graph.constant(values.astype(np.int8))
    net._quantize(weights, [0.01], 0)
    logits = net.run("FULLY_CONNECTED", [both, weights, -1], (1, CLASSES))
    return net.write([first, logits])
