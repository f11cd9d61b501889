"""Cuts the operators of an exit into pieces that run, or not, as a whole."""

import dataclasses
import graphlib
import math
from collections.abc import Iterable, Mapping, Sequence

from tflite.cutting import assembly, branches, dependencies
from tflite.format import model_file

# Operators of two inputs that take a 0 of one element for a tensor of zeros.
_BROADCASTING = {"ADD", "MAXIMUM", "MINIMUM", "MUL", "SUB"}
# A bypass holds its weights a second time: as many as this share of those that
# it need not run, at most.
_HELD_TWICE = 0.25


@dataclasses.dataclass(frozen=True)
class Piece:
    """Holds operators of a graph that run, or not, as a whole.

    Attributes:
        exit: The exit that needs them first, from 0.
        operators: In an order in which they can run.
        gate: The tensor that must not be 0 for them to run; None if they
            always do, or if this is a bypass.
        bypass: Whether they run only where the piece before does not.
        zeros: Tensors that they take for 0.
    """

    exit: int
    operators: tuple[int, ...]
    gate: int | None = None
    bypass: bool = False
    zeros: frozenset[int] = frozenset()


def cut(
    graph, exit: int, part: set[int], gate_of: Mapping[int, int]
) -> list[Piece]:
    """Cuts an exit's operators where the graph passes from gate to gate.

    Args:
        graph: The graph of the model.
        exit: Number of the exit, from 0.
        part: Operators of the exit.
        gate_of: The gate of those that have one.

    Returns:
        Pieces of one gate, or of none, each; in an order in which they can
        run, a gate before those it switches. The last one gives the exit's
        logits: everything leads to them.
    """
    producer = dependencies.written_by(graph, part)
    after = {
        index: [
            producer[tensor]
            for tensor in [
                *dependencies.tensors(graph.operators[index].inputs),
                *([gate_of[index]] if index in gate_of else []),
            ]
            if tensor in producer
        ]
        for index in part
    }
    level: dict[int, int] = {}
    pieces: dict[tuple[int, int | None], list[int]] = {}
    for index in graphlib.TopologicalSorter(after).static_order():
        gate = gate_of.get(index)
        level[index] = max(
            (level[i] + (gate_of.get(i) != gate) for i in after[index]),
            default=0,
        )
        pieces.setdefault((level[index], gate), []).append(index)
    found = [
        (depth, sorted(operators), gate)
        for (depth, gate), operators in pieces.items()
    ]
    return [
        Piece(exit, tuple(operators), gate)
        for _, operators, gate in sorted(found, key=lambda each: each[:2])
    ]


def with_bypasses(
    whole,
    pieces: Sequence[Piece],
    found: Sequence[branches.Branch],
    logits: Sequence[int],
) -> list[Piece]:
    """Joins gated pieces with the next ones, so that one of two runs.

    A block that a gate skips is a gated piece, then one without a gate that
    adds the shortcut and computes the next gate. Instead the two become one
    gated piece; and the second alone, with 0 in place of the first's results,
    becomes its bypass. So a block is one piece to run, skipped or not.

    That needs a second piece that ends no exit, has next to no weights, and of
    which each operator that reads the first's results is elementwise, its other
    operand of the full shape; and no other reader of these results. Of several
    gated pieces before it the last one is joined.

    Args:
        whole: The model, from `model_file.read`.
        pieces: From `cut`, of all exits.
        found: The gates and their branches.
        logits: The tensors of the exits.
    """
    graph = whole.subgraphs[0]
    codes = [model_file.operator_name(each) for each in whole.operatorCodes]
    reads = [dependencies.read_by(graph, each.operators) for each in pieces]
    writes = [
        set(dependencies.written_by(graph, each.operators)) for each in pieces
    ]
    computed = set(dependencies.tensors(graph.inputs)).union(*writes)
    branch = {
        each.gate: _constants(graph, each.operators, computed) for each in found
    }
    joined: dict[int, int] = {}
    for second, piece in enumerate(pieces):
        if piece.gate is not None or not writes[second].isdisjoint(logits):
            continue
        twice = _constants(graph, piece.operators, computed)
        for first in reversed(range(second)):
            results = writes[first]
            readers = [i for i, each in enumerate(reads) if each & results]
            if (
                pieces[first].gate is not None
                and readers in ([second], [first, second])
                and twice <= _HELD_TWICE * branch[pieces[first].gate]
                and _takes_zeros(graph, codes, piece, results)
            ):
                joined[second] = first
                break
    result = []
    for second, piece in enumerate(pieces):
        if second in joined.values():
            continue
        if second not in joined:
            result.append(piece)
            continue
        first = pieces[joined[second]]
        both = tuple(sorted({*first.operators, *piece.operators}))
        zeros = frozenset(reads[second] & writes[joined[second]])
        result += [
            dataclasses.replace(first, operators=both),
            dataclasses.replace(piece, bypass=True, zeros=zeros),
        ]
    return result


def _takes_zeros(graph, codes, piece: Piece, zeros: set[int]) -> bool:
    """Tells whether a piece can have one 0 in place of each of `zeros`."""
    types = assembly.zero_types()
    for index in piece.operators:
        operator = graph.operators[index]
        operands = dependencies.tensors(operator.inputs)
        given = [t for t in operands if t in zeros]
        if not given:
            continue
        others = [t for t in operands if t not in zeros]
        if (
            codes[operator.opcodeIndex] not in _BROADCASTING
            or len(given) != 1
            or len(others) != 1
            or graph.tensors[given[0]].type not in types
            or _shape(graph, others[0]) != _shape(graph, operator.outputs[0])
        ):
            return False
    return True


def _constants(graph, operators: Iterable[int], computed: set[int]) -> int:
    """Counts the numbers that operators hold themselves: weights above all."""
    read = dependencies.read_by(graph, operators) - computed
    return sum(math.prod(_shape(graph, tensor)) for tensor in read)


def _shape(graph, tensor: int) -> list[int]:
    shape = graph.tensors[tensor].shape
    return [] if shape is None else [int(each) for each in shape]
