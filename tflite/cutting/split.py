"""Cuts a .tflite model at its outputs and at its gates.

The cut follows from the graph alone. An exit's segments hold the operators
that the exit needs and that no earlier exit ran; those that a gate can switch
off are segments of their own. Running the segments in turn computes each
operator once, at most, and gives the uncut model's outputs bit for bit: a
tensor that crosses a cut keeps its type, scale and zero point. Where a gate is
0 its segments need not run: their results are zeros (see
`tflite.cutting.branches`), or those of a segment that runs instead (see
`tflite.cutting.pieces`).
"""

import dataclasses
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tflite.bundle.wiring import Wiring
from tflite.cutting import (
    assembly,
    branches,
    dependencies,
    pieces,
)
from tflite.format import files, model_file


class CannotSplit(ValueError):
    """Says that a sound model cannot be cut into one segment per output."""


@dataclasses.dataclass(frozen=True)
class Segment:
    """Holds one model of the chain.

    Attributes:
        model: The .tflite file, with one signature, "serving_default".
        wiring: Its tensors, its exit and its gate.
        output: Name of the exit's output, as in the original signature, which
            is the first of its outputs; None if it ends none.
        operators: Number of operators that it runs.
        also: Further outputs of the model that it gives: results that an exit
            needs anyway, such as the second one of an operator.
        renamed: Names in the original signature, by those that its outputs
            have in the chain, where another tensor had the name already.
    """

    model: bytes
    wiring: Wiring
    output: str | None
    operators: int
    also: tuple[str, ...] = ()
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)


def split(
    model: bytes, order: Sequence[str] | None = None, *, gates: bool = True
) -> tuple[Segment, ...]:
    """Cuts `model` into one segment or more per output, shallow to deep.

    An exit's depth is the number of operators it needs, those that compute
    constants aside; ties go by output name. The order in which the converter
    lists the outputs does not matter. Operators keep their order. Parts that
    no output needs are left out, as are the original's metadata and associated
    files. A model with a single output and no gates is one segment. An output
    that adds no operator, such as the second result of another's, is no exit:
    the segment that computes it gives it, too.

    The operators of an exit are cut wherever the graph passes into a gate's
    branch or out of it, so that a row of gated blocks becomes an ungated
    segment, a gated one, its bypass, a gated one, and so on. In nested branches
    an operator belongs to the innermost.

    Args:
        model: A .tflite file.
        order: The outputs' names in the order of the segments, if it is not
            that of depth: an ensemble of exits may need more operators than
            the exit after it.
        gates: Whether to cut at gates, too.

    Raises:
        flatbuffer.InvalidModel: if `model` is damaged, or has control flow or
            variables.
        CannotSplit: if it has the same tensor as two outputs, an input or a
            constant as an output, signatures that differ, or other outputs
            than `order`; or, with `order`, an output that adds no operator.
    """
    whole = model_file.read(model)
    graph = whole.subgraphs[0]
    names = _tensor_names(whole)
    static, varying = dependencies.static_operators(graph)
    exits, also = _ordered_exits(graph, names, varying, order)
    original = _output_names(whole)
    found = branches.branches(whole) if gates else ()
    gate_of = branches.innermost(found)
    parts: list[set[int]] = []
    cut: list[pieces.Piece] = []
    for exit, (_, needed) in enumerate(exits):
        parts.append(needed.difference(*parts))
        cut += pieces.cut(graph, exit, parts[exit], gate_of)
    logits = [tensor for tensor, _ in exits]
    cut = pieces.with_bypasses(whole, cut, found, logits)
    # Where a tensor comes from: a segment or, -1, the graph's inputs. A
    # constant comes from nowhere: each segment has its own.
    origin = dict.fromkeys(dependencies.tensors(graph.inputs), -1)
    written = [dependencies.written_by(graph, p.operators) for p in cut]
    reads = []
    for i, piece in enumerate(cut):
        reads.append(
            dependencies.read_by(graph, piece.operators)
            & origin.keys() - written[i].keys() - piece.zeros
        )
        if not piece.bypass:
            origin.update(dict.fromkeys(written[i], i))
    segments = []
    for i, piece in enumerate(cut):
        result = logits[piece.exit]
        ends = result in written[i]
        inputs = sorted(reads[i], key=lambda t: (origin[t], t))
        # Those of a gated piece are those of its bypass, which reads none.
        later = set().union(*reads[i + 1 :]) - {result}
        outputs = [result] if ends else []
        given = also & written[i].keys()
        outputs += sorted(later & written[i].keys() | given)
        constants = dependencies.ancestors(
            graph, dependencies.read_by(graph, piece.operators), static
        )
        part = sorted({*piece.operators, *constants})
        segments.append(
            Segment(
                model=assembly.assemble(
                    whole, part, inputs, outputs, names, piece.zeros
                ),
                wiring=Wiring(
                    inputs=tuple(names[t] for t in inputs),
                    outputs=tuple(names[t] for t in outputs),
                    exit=piece.exit if ends else None,
                    gate=None if piece.gate is None else names[piece.gate],
                    bypass=piece.bypass,
                ),
                output=names[result] if ends else None,
                operators=len(part),
                also=tuple(names[t] for t in sorted(given)),
                renamed={
                    names[t]: original[t]
                    for t in outputs
                    if original.get(t, names[t]) != names[t]
                },
            )
        )
    return tuple(segments)


def file_name(place: int) -> str:
    """Returns the name of the file that `write` gives a segment, from 0."""
    return f"segment_{place}.tflite"


def write(
    model_path: str, output_directory: str, *, gates: bool = True
) -> tuple[Segment, ...]:
    """Splits a file into `segment_0.tflite` ... and `segments.json`.

    The directory, which must be new or empty, appears whole or not at all. In
    segments.json only gated segments have the key "gate", only a bypass has the
    key "bypass", and only where `Segment` says so are there "also" and
    "renamed".

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
    segments = split(files.model(model_path), gates=gates)
    if len(segments) < 2:
        raise CannotSplit(
            "`model` must have two outputs or more that different operators "
            "compute, or a gate to cut at. Received: "
            f"{', '.join([str(segments[0].output), *segments[0].also])}"
        )
    target = os.path.abspath(output_directory)
    unfinished = f"{target}.unfinished-{os.getpid()}"
    os.makedirs(unfinished)
    try:
        facts = []
        for place, segment in enumerate(segments):
            row = _row(segment) | {"file": file_name(place)}
            with open(os.path.join(unfinished, row["file"]), "wb") as file:
                row["bytes"] = file.write(segment.model)
            facts.append(row)
        with open(os.path.join(unfinished, "segments.json"), "w") as file:
            json.dump({"segments": facts}, file, indent=2)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return segments


def _row(segment: Segment) -> dict[str, Any]:
    wiring = segment.wiring
    row: dict[str, Any] = {
        "exit": wiring.exit,
        "output": segment.output,
        "inputs": wiring.inputs,
        "outputs": wiring.outputs,
        "operators": segment.operators,
    }
    if wiring.gate:
        row["gate"] = wiring.gate
    if wiring.bypass:
        row["bypass"] = wiring.bypass
    if segment.also:
        row["also"] = segment.also
    if segment.renamed:
        row["renamed"] = segment.renamed
    return row


def _output_names(model: Any) -> dict[int, str]:
    """Returns the outputs' names in the signature."""
    return {
        entry.tensorIndex: model_file.text(entry.name)
        for signature in (model.signatureDefs or [])[:1]
        for entry in signature.outputs or []
    }


def _check_signatures(model: Any) -> None:
    """Raises CannotSplit if a second signature would be lost with the cut."""
    found = [
        sorted(
            (side, model_file.text(entry.name), entry.tensorIndex)
            for side in ("inputs", "outputs")
            for entry in getattr(signature, side) or []
        )
        for signature in model.signatureDefs or []
    ]
    if any(each != found[0] for each in found):
        keys = [
            model_file.text(each.signatureKey) for each in model.signatureDefs
        ]
        raise CannotSplit(
            "`model` must have one signature, or several of the same names, as "
            f"segments have one. Received: {keys}"
        )


def _tensor_names(model: Any) -> list[str]:
    """Names every tensor, uniquely; signature names come first."""
    _check_signatures(model)
    tensors = model.subgraphs[0].tensors
    given: dict[int, str] = {}
    for signature in (model.signatureDefs or [])[:1]:
        for entry in [*(signature.inputs or []), *(signature.outputs or [])]:
            name = model_file.text(entry.name)
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
        base = given.get(index) or model_file.text(tensors[index].name)
        name = base = base or f"tensor_{index}"
        while name in taken:
            copies[base] += 1
            name = f"{base}_{copies[base]}"
        taken.add(name)
        names[index] = name
    return [names[index] for index in range(len(tensors))]


def _ordered_exits(
    graph: Any, names: list[str], varying: set[int], order: Sequence[str] | None
) -> tuple[list[tuple[int, set[int]]], set[int]]:
    """Finds the outputs that are exits.

    Returns:
        Each of their tensors with the operators it needs, in exit order; and
        the other outputs, which the operators of an exit compute anyway.
    """
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
    found, also = [], set()
    for tensor, needed in exits:
        if not needed:
            raise CannotSplit(
                f"`model` output {names[tensor]!r} must be computed from an "
                "input. Received: an input or a constant, of the outputs "
                f"{listed}"
            )
        if not needed <= before:
            found.append((tensor, needed))
        elif order is None:
            also.add(tensor)
        else:
            raise CannotSplit(
                f"`order` must name outputs that have an operator of their own "
                f"after those before them. Received: {names[tensor]!r} of "
                f"order={list(order)}"
            )
        before |= needed
    return found, also
