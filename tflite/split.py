"""Cuts a .tflite model at its outputs and at its gates.

The cut follows from the graph alone. An exit's segments hold the operators
that the exit needs and that no earlier exit ran; those that a gate can switch
off are segments of their own. Running the segments in turn computes each
operator once, at most, and gives the uncut model's outputs bit for bit: a
tensor that crosses a cut keeps its type, scale and zero point. Where a gate is
0 its segments need not run: their results are zeros (see `tflite.branches`).
"""

import dataclasses
import graphlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence

from tflite import assembly, branches, dependencies, flatbuffer


class CannotSplit(ValueError):
    """A sound model that has no cut into one segment per output."""


@dataclasses.dataclass(frozen=True)
class Segment:
    """One model of the chain.

    Attributes:
        exit: The exit that it ends, from 0 (shallowest); None if it ends none.
        output: Name of the exit's output, as in the original signature.
        model: The .tflite file, with one signature, "serving_default".
        inputs: Names of its inputs: graph inputs, then outputs of earlier
            segments (of any, not only of the one before).
        outputs: Names of its outputs: `output`, then what later ones read.
        operators: How many operators it runs.
        gate: Name of an earlier segment's output of one element; where that
            is 0, all outputs are. None if the segment is always needed.
    """

    exit: int | None
    output: str | None
    model: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: int
    gate: str | None = None


def split(
    model: bytes, order: Sequence[str] | None = None, *, gates: bool = True
) -> tuple[Segment, ...]:
    """Cuts `model` into one segment or more per output, shallow to deep.

    An exit's depth is the number of operators it needs, those that compute
    constants aside; ties go by output name. The order in which the converter
    lists the outputs does not matter. Operators keep their order. What no
    output needs is left out, as are the original's metadata and associated
    files. A model with a single output and no gates is one segment.

    The operators of an exit are cut wherever the graph passes into a gate's
    branch or out of it, so that a row of gated blocks becomes an ungated
    segment, a gated one, an ungated one, and so on. In nested branches an
    operator belongs to the innermost.

    Args:
        model: A .tflite file.
        order: The outputs' names in the order of the segments, if it is not
            that of depth: an ensemble of exits may need more operators than
            the exit after it.
        gates: Whether to cut at gates, too.

    Raises:
        flatbuffer.InvalidModel: if `model` is damaged, or has control flow or
            variables.
        CannotSplit: if it has the same tensor as two outputs, an output that
            adds no operator, or other outputs than `order`.
    """
    whole = flatbuffer.read(model)
    graph = whole.subgraphs[0]
    names = _tensor_names(whole)
    static, varying = dependencies.static_operators(graph)
    exits = _ordered_exits(graph, names, varying, order)
    found = branches.branches(whole) if gates else ()
    gate_of = branches.innermost(found)
    parts: list[set[int]] = []
    # Of each segment: the exit whose operators it holds, and these.
    pieces: list[tuple[int, list[int]]] = []
    for exit, (_, needed) in enumerate(exits):
        parts.append(needed.difference(*parts))
        pieces += [(exit, p) for p in _pieces(graph, parts[exit], gate_of)]
    # Where a tensor comes from: a segment or, -1, the graph's inputs. What is
    # constant comes from nowhere, each segment has its own.
    origin = dict.fromkeys(dependencies.tensors(graph.inputs), -1)
    for i, (_, piece) in enumerate(pieces):
        origin.update(dict.fromkeys(dependencies.written_by(graph, piece), i))
    reads = [
        {t for t in dependencies.read_by(graph, piece) if origin.get(t, i) < i}
        for i, (_, piece) in enumerate(pieces)
    ]
    segments = []
    for i, (exit, piece) in enumerate(pieces):
        logits = exits[exit][0]
        ends = origin[logits] == i
        gate = gate_of.get(piece[0])
        inputs = sorted(reads[i], key=lambda t: (origin[t], t))
        later = set().union(*reads[i + 1 :]) - {logits}
        outputs = [logits] if ends else []
        outputs += sorted(t for t in later if origin[t] == i)
        constants = dependencies.ancestors(
            graph, dependencies.read_by(graph, piece), static
        )
        part = sorted({*piece, *constants})
        segments.append(
            Segment(
                exit=exit if ends else None,
                output=names[logits] if ends else None,
                model=assembly.assemble(whole, part, inputs, outputs, names),
                inputs=tuple(names[t] for t in inputs),
                outputs=tuple(names[t] for t in outputs),
                operators=len(part),
                gate=None if gate is None else names[gate],
            )
        )
    return tuple(segments)


def write(
    model_path: str, output_directory: str, *, gates: bool = True
) -> tuple[Segment, ...]:
    """Splits a file into `segment_0.tflite` ... and `segments.json`.

    The directory, which must be new or empty, appears whole or not at all. In
    segments.json only gated segments have the key "gate".

    Raises:
        ValueError: as `split`, if there is nothing to cut, or if
            `output_directory` holds something.
    """
    if os.path.exists(output_directory) and (
        not os.path.isdir(output_directory) or os.listdir(output_directory)
    ):
        raise ValueError(
            "`output_directory` must be new or empty. "
            f"Received: {output_directory}"
        )
    with open(model_path, "rb") as file:
        segments = split(file.read(), gates=gates)
    if len(segments) < 2:
        raise CannotSplit(
            "`model` must have two outputs or more, or a gate to cut at. "
            f"Received: {segments[0].output!r} alone"
        )
    target = os.path.abspath(output_directory)
    unfinished = f"{target}.unfinished-{os.getpid()}"
    os.makedirs(unfinished)
    try:
        facts = []
        for place, segment in enumerate(segments):
            row = dataclasses.asdict(segment)
            if row["gate"] is None:
                del row["gate"]
            row |= {"file": f"segment_{place}.tflite"}
            with open(os.path.join(unfinished, row["file"]), "wb") as file:
                row["bytes"] = file.write(row.pop("model"))
            facts.append(row)
        with open(os.path.join(unfinished, "segments.json"), "w") as file:
            json.dump({"segments": facts}, file, indent=2)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return segments


def _pieces(
    graph, part: set[int], gate_of: Mapping[int, int]
) -> list[list[int]]:
    """Cuts an exit's operators where the graph passes from gate to gate.

    Args:
        graph: Of the model.
        part: The operators.
        gate_of: The gate of those that have one.

    Returns:
        Operators of one gate, or of none, each; in an order in which they can
        run, a gate before what it switches. The last one gives the exit's
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
    found = [(depth, sorted(each)) for (depth, _), each in pieces.items()]
    return [each for _, each in sorted(found)]


def _tensor_names(model) -> list[str]:
    """Names every tensor, uniquely; signature names come first."""
    tensors = model.subgraphs[0].tensors
    given = {}
    for signature in (model.signatureDefs or [])[:1]:
        for entry in [*(signature.inputs or []), *(signature.outputs or [])]:
            name = entry.name.decode()
            if given.setdefault(entry.tensorIndex, name) != name:
                raise CannotSplit(
                    "`model` must not have one tensor as two inputs or "
                    "outputs. Received: "
                    f"{given[entry.tensorIndex]!r} and {name!r}"
                )
    names: dict[int, str] = {}
    taken: set[str] = set()
    copies: Counter[str] = Counter()
    for index in dict.fromkeys([*given, *range(len(tensors))]):
        base = given.get(index) or (tensors[index].name or b"").decode()
        name = base = base or f"tensor_{index}"
        while name in taken:
            copies[base] += 1
            name = f"{base}_{copies[base]}"
        taken.add(name)
        names[index] = name
    return [names[index] for index in range(len(tensors))]


def _ordered_exits(
    graph, names: list[str], varying: set[int], order: Sequence[str] | None
) -> list[tuple[int, set[int]]]:
    """Returns each output tensor and the operators it needs, in exit order."""
    outputs = dependencies.tensors(graph.outputs)
    listed = [names[tensor] for tensor in outputs]
    if not outputs or len(set(outputs)) < len(outputs):
        raise CannotSplit(
            "`model` must have outputs, all of them different. "
            f"Received: {listed}"
        )
    exits = [(t, dependencies.ancestors(graph, {t}, varying)) for t in outputs]
    if order is None:
        exits.sort(key=lambda exit: (len(exit[1]), names[exit[0]], exit[0]))
    elif sorted(order) != sorted(listed):
        raise CannotSplit(
            f"`order` must name each of {sorted(listed)} once. "
            f"Received: order={list(order)}"
        )
    else:
        exits.sort(key=lambda exit: order.index(names[exit[0]]))
    before: set[int] = set()
    for tensor, needed in exits:
        if needed <= before:
            raise CannotSplit(
                f"`model` output {names[tensor]!r} must be computed by an "
                "operator of its own. Received: an input, a constant, or a "
                f"second result of another exit's operator, of {listed}"
            )
        before |= needed
    return exits
