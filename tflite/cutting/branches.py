"""Finds the parts of a .tflite graph that a gate can switch off.

A gate is a score per image that multiplies the result of a branch. Where it
is exactly 0 the product is known without the branch: nothing has to be run.
"""

import dataclasses

from tflite.cutting import dependencies
from tflite.format import model_file

# A branch without any of these costs less than the cut that would skip it.
_WORK = {
    "CONV_2D",
    "CONV_3D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "TRANSPOSE_CONV",
    "BATCH_MATMUL",
}

# Operators whose result is 0 where that of their one input is.
_KEEPING_ZERO = {
    "DEQUANTIZE",
    "EXPAND_DIMS",
    "MINIMUM",
    "MUL",
    "QUANTIZE",
    "RESHAPE",
    "SLICE",
    "SPLIT",
    "SQUEEZE",
    "STRIDED_SLICE",
}
# Operators that make a float an exact 0, and those that give none but by
# rounding to int8.
_CLAMPS = {"MAXIMUM", "RELU", "RELU6", "RELU_0_TO_1"}
_NEVER_ZERO = {"LOGISTIC", "SOFTMAX"}


@dataclasses.dataclass(frozen=True)
class Branch:
    """Holds the operators that need not run where a gate is 0.

    Attributes:
        gate: The gate's tensor.
        operators: Those that only its products need, the products included.
    """

    gate: int
    operators: frozenset[int]


def branches(whole) -> tuple[Branch, ...]:
    """Finds every gate of a model, and its branch, from the graph alone.

    A gate is the operand of a MUL that has one element and is computed at run
    time by something that gives exact zeros: in int8, a tensor whose zero
    point is the smallest value, unless it comes from a softmax or a sigmoid;
    in float, one that was clamped by a ReLU or a maximum. The other operand
    has more elements. The branch is the set of operators that no output and no
    part of the gate's own computation needs but through such products; one of
    them must have weights. A product that is an output of the model stays, so
    that the logits of an exit are always computed.

    With int8 a product with 0 is its zero point, bit for bit. With floats it
    is a zero of either sign, and equal as a number only if the branch is
    finite, as 0 times infinity is none.

    Args:
        whole: The model, from `model_file.read`.
    """
    graph = whole.subgraphs[0]
    codes = [model_file.operator_name(each) for each in whole.operatorCodes]
    names = [codes[each.opcodeIndex] for each in graph.operators or []]
    outputs = dependencies.tensors(graph.outputs)
    _, varying = dependencies.static_operators(graph)
    needed = dependencies.ancestors(graph, outputs, varying)
    found = []
    for gate, products in _products(graph, names, needed).items():
        others = dependencies.ancestors(
            graph, [*outputs, gate], needed - products
        )
        operators = frozenset(needed - others)
        if not _WORK.isdisjoint(names[index] for index in operators):
            found.append(Branch(gate, operators))
    return tuple(found)


def innermost(found: tuple[Branch, ...]) -> dict[int, int]:
    """Returns the gate of the smallest branch that each operator is in.

    Where that gate is computed inside of a larger branch, it is 0 wherever the
    larger one is skipped. Where it is not, its operators may then run on
    zeros, and nothing needs their results.
    """
    gates: dict[int, int] = {}
    for branch in sorted(found, key=lambda each: -len(each.operators)):
        gates.update(dict.fromkeys(branch.operators, branch.gate))
    return gates


def _products(graph, names: list[str], needed: set[int]) -> dict[int, set[int]]:
    """Returns the products with each gate, whatever they multiply."""
    producer = dependencies.written_by(graph, needed)
    outputs = set(dependencies.tensors(graph.outputs))
    found: dict[int, set[int]] = {}
    for index in sorted(needed):
        operator = graph.operators[index]
        if names[index] != "MUL" or not _zero_gives_zero(operator):
            continue
        [product] = operator.outputs
        if product in outputs or _is_score(graph, product):
            continue
        for tensor in dependencies.tensors(operator.inputs):
            if (
                tensor in producer
                and _is_score(graph, tensor)
                and _has_exact_zero(graph, names, producer, tensor)
            ):
                found.setdefault(tensor, set()).add(index)
    return found


def _is_score(graph, tensor: int) -> bool:
    """Tells if a tensor is one number per image; its first axis is images."""
    return set(_list(graph.tensors[tensor].shape)) == {1}


def _list(values) -> list:
    return [] if values is None else list(values)


def _zero_gives_zero(operator) -> bool:
    """Tells whether the activation fused to an operator leaves 0 as it is."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.ActivationFunctionType
    return _fused(operator) in (
        kinds.NONE,
        kinds.RELU,
        kinds.RELU_N1_TO_1,
        kinds.RELU6,
    )


def _fused(operator) -> int:
    return getattr(operator.builtinOptions, "fusedActivationFunction", 0)


def _has_exact_zero(
    graph, names: list[str], producer: dict[int, int], tensor: int
) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    details = graph.tensors[tensor]
    sources = _sources(graph, names, producer, tensor)
    if details.type == schema.TensorType.FLOAT32:
        return sources <= _CLAMPS
    lowest = {schema.TensorType.INT8: -128, schema.TensorType.UINT8: 0}
    if details.type not in lowest or details.quantization is None:
        return False
    points = _list(details.quantization.zeroPoint)
    return points == [lowest[details.type]] and sources.isdisjoint(_NEVER_ZERO)


def _sources(
    graph, names: list[str], producer: dict[int, int], tensor: int
) -> set[str]:
    """Names the operators that decide whether a value is 0."""
    from ai_edge_litert import schema_py_generated as schema

    if tensor not in producer:
        return {"INPUT"}
    index = producer[tensor]
    operator = graph.operators[index]
    kinds = schema.ActivationFunctionType
    if _fused(operator) in (kinds.RELU, kinds.RELU6):
        return {"RELU"}
    if names[index] not in _KEEPING_ZERO:
        return {names[index]}
    inputs = set(dependencies.tensors(graph.inputs))
    return set().union(
        *(
            _sources(graph, names, producer, each)
            for each in dependencies.tensors(operator.inputs)
            if each in producer or each in inputs
        )
    )
